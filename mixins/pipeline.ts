import type pg from "pg";
import { ConnectionError, type Sequelize } from "sequelize";
import { writeOncePerTurn } from "../lib/event-loop.ts";
import { ask, type Statement, takeConnection } from "./connection.ts";

/** Connections of a pool that are kept for statements that share them, from the first such statement on. */
const CONNECTIONS = 2;
/** Milliseconds until a statement counts as one that waits. Being behind some others for less is what a pipeline is. */
const LONG = 100;

export interface Pipeline {
  /** The statement's rows. @throws what PostgreSQL does, and Sequelize's ConnectionError */
  query<T extends object>(statement: Statement): Promise<T[]>;
  /** How many statements have been behind others of their connection, or without one, for over 100 ms. */
  waiting(): number;
  /** Gives the connections back to the pool. */
  close(): Promise<void>;
}

/**
 * Sends statements without waiting for the answers to those before (PostgreSQL's pipeline mode): those of one turn of the
 * event loop are one system call, and wake one of the server's processes. Answers come in the order of the statements, so
 * this is for reads that are always short. The connections are of Sequelize's pool, which makes and ends them.
 */
export function openPipeline(database: Sequelize): Pipeline {
  const slots = new Map<number, Promise<pg.Client>>();
  const asked = new Set<{ slot: number; at: number }>();
  let turn = 0;

  async function take(): Promise<pg.Client> {
    const connection = await takeConnection(database);
    // An option of pg's that Sequelize does not pass on.
    Object.assign(connection, { pipeline: true });
    // (Its typings don't know of the socket.)
    writeOncePerTurn(Object(connection).connection.stream);
    return connection;
  }

  /** A slot may have another connection by the time that one fails. */
  function forget(slot: number, taken: Promise<pg.Client>): void {
    if (slots.get(slot) === taken) slots.delete(slot);
  }

  function open(slot: number): Promise<pg.Client> {
    const taken = take();
    slots.set(slot, taken);
    const gone = (): void => forget(slot, taken);
    taken.then((connection) => connection.once("end", gone), gone);
    return taken;
  }

  return {
    async query<T extends object>(statement: Statement): Promise<T[]> {
      turn = (turn + 1) % CONNECTIONS;
      const slot = turn;
      const taken = slots.get(slot) ?? open(slot);
      const question = { slot, at: performance.now() };
      asked.add(question);
      try {
        return await ask<T>(database, await taken, statement);
      } catch (error) {
        if (error instanceof ConnectionError) forget(slot, taken);
        throw error;
      } finally {
        asked.delete(question);
      }
    },

    waiting() {
      const since = performance.now() - LONG;
      const long = [...asked].filter(({ at }) => at < since);
      // The first of each connection is being answered.
      return long.length - new Set(long.map(({ slot }) => slot)).size;
    },

    async close() {
      const taken = [...slots.values()];
      slots.clear();
      for (const outcome of await Promise.allSettled(taken)) {
        if (outcome.status === "fulfilled") database.connectionManager.releaseConnection(outcome.value);
      }
    },
  };
}
