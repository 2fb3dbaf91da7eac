/**
 * One of three processes that list tasks over RabbitMQ with nothing but node:http, amqplib, pg and jsonwebtoken: what
 * the hops alone cost on this machine. Nothing is acknowledged, tried again, validated, logged or measured, and nodes
 * can't come or go. Started by bare.ts with its role as the argument, AMQP_URL, QUEUES (what the queues' names begin
 * with), DATABASE_URL, PORT and JWK.
 */
import { createPublicKey } from "node:crypto";
import { createServer } from "node:http";
import { connect } from "amqplib";
import jwt from "jsonwebtoken";
import { Pool } from "pg";
import { STATEMENTS } from "./bare-sql.ts";

const [role = ""] = process.argv.slice(2);
const { AMQP_URL = "", QUEUES = "", DATABASE_URL = "", PORT = "", JWK = "{}" } = process.env;
const connection = await connect(AMQP_URL, { noDelay: true });
const channel = await connection.createChannel();

/** A message is its number, a space, and a text. */
function send(to: string, number: string, text: string): void {
  channel.sendToQueue(QUEUES + to, Buffer.from(`${number} ${text}`));
}

async function take(handle: (number: string, text: string) => void): Promise<void> {
  const { queue } = await channel.assertQueue(QUEUES + role, { exclusive: true });
  await channel.consume(
    queue,
    (message) => {
      const content = message?.content.toString() ?? "";
      const space = content.indexOf(" ");
      handle(content.slice(0, space), content.slice(space + 1));
    },
    { noAck: true },
  );
}

const roles: Record<string, () => Promise<void>> = {
  async auth() {
    const key = createPublicKey({ key: JSON.parse(JWK), format: "jwk" });
    await take((number, token) => {
      const claims = jwt.verify(token, key, { algorithms: ["ES256"] });
      send("api", number, String(claims.sub));
    });
  },

  async tasks() {
    const pool = new Pool({ connectionString: DATABASE_URL, max: 10 });
    await take(async (number, userId) => {
      const { rows } = await pool.query<{ text: string }>({
        name: "listText",
        text: STATEMENTS.listText,
        values: [userId],
      });
      send("api", number, rows[0]?.text ?? "");
    });
  },

  async api() {
    const waiting = new Map<string, (text: string) => void>();
    let calls = 0;
    const call = (to: string, text: string): Promise<string> =>
      new Promise((resolve) => {
        const number = String(++calls);
        waiting.set(number, resolve);
        send(to, number, text);
      });
    await take((number, text) => {
      waiting.get(number)?.(text);
      waiting.delete(number);
    });
    const server = createServer(async ({ headers: { authorization = "" } }, response) => {
      const userId = await call("auth", authorization.slice("Bearer ".length));
      const body = await call("tasks", userId);
      response.writeHead(200, {
        "Content-Type": "application/json",
        "Content-Length": Buffer.byteLength(body),
      });
      response.end(body);
    });
    await new Promise<void>((listening) => server.listen(Number(PORT), "127.0.0.1", listening));
  },
};

await roles[role]?.();
process.send?.("ready");
