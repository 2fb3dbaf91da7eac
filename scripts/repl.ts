import { type CallingOptions, Errors, ServiceBroker } from "moleculer";
import openRepl from "moleculer-repl";
import { loadEnv } from "../config/env.ts";
import { onParentGone } from "./parent.ts";

/*
 * npm run repl
 *
 * Moleculer's REPL: as a node of its own on the mesh at AMQP_URL, or without that on everything that npm start runs.
 * It is a caller like any other: services serve it by passport. docs/repl.md has a session.
 */

interface Session {
  broker: ServiceBroker;
  /** Stops what was started and ends the process. */
  stop(): void;
}

// Log lines would be printed into the line that is being typed.
process.env.LOG_LEVEL ||= "warn";

const session = loadEnv().AMQP_URL === undefined ? await startAll() : await joinMesh();
if (session) openPrompt(session);

/** Resolves to nothing when the start failed: scripts/start.ts then says why and ends the process. */
async function startAll(): Promise<Session | undefined> {
  const { started, stop } = await import("./start.ts");
  const broker = await started;
  return broker && { broker, stop: () => stop(0) };
}

async function joinMesh(): Promise<Session> {
  const { default: config } = await import("../moleculer.config.ts");
  const broker = new ServiceBroker(config);
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void broker.stop().finally(() => process.exit(0));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  onParentGone(stop);
  console.log(`Joining the mesh "${broker.namespace}"…`);
  await broker.start();
  return { broker, stop };
}

function openPrompt({ broker, stop }: Session): void {
  console.log('"help" lists the commands, "exit" leaves.');
  const repl = openRepl(withMemory(broker, stop), { delimiter: "taskmesh $", customCommands: null });

  // Lines that arrive together, pasted or from a pipe, would all be run at once.
  const { eval: run } = repl;
  let turn = Promise.resolve();
  const runInTurn: typeof run = (line, context, file, done) => {
    const ended = Promise.withResolvers<void>();
    turn = turn.then(() => {
      run.call(repl, line, context, file, (...outcome) => {
        done(...outcome);
        ended.resolve();
      });
      return ended.promise;
    });
  };
  Object.assign(repl, { eval: runInTurn });
  repl.removeAllListeners("exit").once("exit", () => turn.then(stop));
}

/**
 * The broker as the REPL sees it. Fields of the answers so far stand ready as `$name` for the params and meta of the
 * next call, so that tokens needn't be typed; errors show their code.
 */
function withMemory(broker: ServiceBroker, stop: () => void): ServiceBroker {
  const memory = new Map<unknown, unknown>();
  const recall = (values: object): Record<string, unknown> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, memory.get(value) ?? value]));

  async function call(action: string, params: unknown, options: CallingOptions): Promise<unknown> {
    const { meta = {}, ...others } = options;
    try {
      const given = isObject(params) ? recall(params) : params;
      const answer = await broker.call<unknown, unknown>(action, given, { ...others, meta: recall(meta) });
      if (isObject(answer)) for (const [name, value] of Object.entries(answer)) memory.set(`$${name}`, value);
      return answer;
    } catch (error) {
      throw readable(error);
    }
  }
  const own = new Map<string | symbol, unknown>([
    ["call", call],
    // The REPL ends the process as soon as the broker has stopped; more than the broker may have to.
    ["stop", () => new Promise(() => stop())],
  ]);
  return new Proxy(broker, { get: (target, name) => own.get(name) ?? Reflect.get(target, name) });
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An error that shows its code where moleculer-repl prints the stack, which says nothing of a service elsewhere. */
const readable = (error: unknown): unknown =>
  error instanceof Errors.MoleculerError
    ? Object.assign(new Error(error.message), { stack: `${error.type}: ${error.message}`, data: error.data })
    : error;
