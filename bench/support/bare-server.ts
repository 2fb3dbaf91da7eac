/**
 * What Taskmesh is measured against: one process with nothing but node:http, pg and the token verified in place, over
 * the same tables. No validation, no problem documents, no bus. Started by bare.ts with DATABASE_URL, PORT and JWK.
 */
import { createPublicKey, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import jwt from "jsonwebtoken";
import { Pool } from "pg";
import { STATEMENTS } from "./bare-sql.ts";

const { DATABASE_URL = "", PORT = "", JWK = "{}" } = process.env;
const key = createPublicKey({ key: JSON.parse(JWK), format: "jwk" });
const pool = new Pool({ connectionString: DATABASE_URL, max: 10 });

function userOf({ headers: { authorization = "" } }: IncomingMessage): string {
  const claims = jwt.verify(authorization.slice("Bearer ".length), key, { algorithms: ["ES256"] });
  return typeof claims === "string" ? "" : (claims.sub ?? "");
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const run = (name: keyof typeof STATEMENTS, values: unknown[]) =>
  pool.query({ name, text: STATEMENTS[name], values });

const create = (userId: string, { title, description = "", tags = [] }: Record<string, unknown>) =>
  run("create", [userId, randomUUID(), title, description, tags]);

createServer(async (request, response) => {
  try {
    const userId = userOf(request);
    const id = request.url?.split("/")[2] ?? "";
    if (request.method === "POST") {
      const { rows } = await create(userId, await bodyOf(request));
      return send(201, rows[0]);
    }
    if (request.method === "PATCH") {
      const { title } = await bodyOf(request);
      return send(200, (await run("patch", [userId, id, title])).rows[0]);
    }
    if (id !== "") return send(200, (await run("get", [userId, id])).rows[0]);
    return send(200, { items: (await run("list", [userId])).rows });
  } catch (error) {
    send(500, { error: String(error) });
  }
  function send(status: number, value: unknown): void {
    const body = JSON.stringify(value);
    response.writeHead(status, {
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
    });
    response.end(body);
  }
}).listen(Number(PORT), "127.0.0.1", () => process.send?.("ready"));
