/**
 * What Taskmesh is measured against: one process with nothing but node:http, pg and the token verified in place, over
 * the same tables. No validation, no problem documents, no bus. Started by bench/run.ts with DATABASE_URL, PORT and JWK.
 */
import { createPublicKey, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import jwt from "jsonwebtoken";
import { Pool } from "pg";

const { DATABASE_URL = "", PORT = "", JWK = "{}" } = process.env;
const key = createPublicKey({ key: JSON.parse(JWK), format: "jwk" });
const pool = new Pool({ connectionString: DATABASE_URL, max: 10 });

const COLUMNS = `id, user_id AS "userId", title, description, status, priority, coalesce(due_on::text, due_at::text) AS due,
  tags, completed_at AS "completedAt", version, created_at AS "createdAt", updated_at AS "updatedAt"`;

function userOf({ headers: { authorization = "" } }: IncomingMessage): string {
  const claims = jwt.verify(authorization.slice("Bearer ".length), key, { algorithms: ["ES256"] });
  return typeof claims === "string" ? "" : (claims.sub ?? "");
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const list = (userId: string) =>
  pool.query({
    name: "list",
    text: `SELECT ${COLUMNS} FROM tasks.tasks WHERE user_id = $1 AND deleted_at IS NULL
      ORDER BY created_at DESC, id DESC LIMIT 20`,
    values: [userId],
  });

const get = (userId: string, id: string) =>
  pool.query({
    name: "get",
    text: `SELECT ${COLUMNS} FROM tasks.tasks WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL`,
    values: [userId, id],
  });

const create = (userId: string, { title, description = "", tags = [] }: Record<string, unknown>) =>
  pool.query({
    name: "create",
    text: `INSERT INTO tasks.tasks
        (user_id, id, title, description, status, priority, tags, version, created_at, updated_at)
      VALUES ($1, $2, $3, $4, 'open', 0, $5, 1, now(), now()) RETURNING ${COLUMNS}`,
    values: [userId, randomUUID(), title, description, tags],
  });

const patch = (userId: string, id: string, { title }: Record<string, unknown>) =>
  pool.query({
    name: "patch",
    text: `UPDATE tasks.tasks SET title = $3, updated_at = now() WHERE user_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
    values: [userId, id, title],
  });

createServer(async (request, response) => {
  try {
    const userId = userOf(request);
    const id = request.url?.split("/")[2] ?? "";
    if (request.method === "POST") {
      const { rows } = await create(userId, await bodyOf(request));
      return send(201, rows[0]);
    }
    if (request.method === "PATCH") {
      const { rows } = await patch(userId, id, await bodyOf(request));
      return send(200, rows[0]);
    }
    if (id !== "") return send(200, (await get(userId, id)).rows[0]);
    return send(200, { items: (await list(userId)).rows });
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
