import { randomBytes } from "node:crypto";
import type { User } from "../../services/auth/accounts.schema.ts";
import type { SignedIn } from "../../services/auth/sessions.schema.ts";
import type { Task } from "../../services/tasks/task.schema.ts";
import { assertDocumented } from "./openapi.ts";
import type { System } from "./system.ts";

export interface Answer<T = unknown> {
  status: number;
  headers: Headers;
  body: T;
}

interface Request {
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: string | Buffer;
}

export type Http = ReturnType<typeof httpFor>;

/**
 * A client of one system, signed in when there is a token. `body` is parsed when it is JSON, else text. An answer that
 * the OpenAPI document does not promise fails the test.
 */
export function httpFor(system: Pick<System, "baseUrl">, token?: string) {
  async function send<T>(
    method: string,
    path: string,
    { headers = {}, body, raw }: Request = {},
  ): Promise<Answer<T>> {
    const response = await fetch(system.baseUrl + path, {
      method,
      redirect: "manual",
      headers: {
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(raw === undefined ? {} : { body: raw }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "") && text !== "";
    const answer = {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    };
    assertDocumented(method, path.split("?")[0] ?? path, answer);
    return answer;
  }
  return {
    send,
    get: <T = unknown>(path: string, request?: Request) => send<T>("GET", path, request),
    post: <T = unknown>(path: string, body?: unknown, request?: Request) =>
      send<T>("POST", path, { ...request, body }),
    patch: <T = unknown>(path: string, body?: unknown, request?: Request) =>
      send<T>("PATCH", path, { ...request, body }),
    delete: <T = unknown>(path: string, body?: unknown, request?: Request) =>
      send<T>("DELETE", path, { ...request, body }),
  };
}

export interface Person {
  email: string;
  password: string;
  user: User;
  tokens: SignedIn;
  /** Signed in as this person. */
  http: Http;
}

export const buildEmail = (): string => `person-${randomBytes(6).toString("hex")}@example.test`;
export const PASSWORD = "correct horse battery staple";

/** Registers somebody new and signs them in. */
export async function buildPerson(
  system: Pick<System, "baseUrl">,
  { email = buildEmail(), password = PASSWORD }: { email?: string; password?: string } = {},
): Promise<Person> {
  const anyone = httpFor(system);
  const registered = await anyone.post<User>("/auth/register", { email, password });
  if (registered.status !== 201)
    throw new Error(`register: ${registered.status} ${JSON.stringify(registered.body)}`);
  const tokens = await signIn(system, { email, password });
  return { email, password, user: registered.body, tokens, http: httpFor(system, tokens.accessToken) };
}

export async function signIn(
  system: Pick<System, "baseUrl">,
  { email, password }: { email: string; password: string },
): Promise<SignedIn> {
  const answer = await httpFor(system).post<SignedIn>("/auth/login", { email, password });
  if (answer.status !== 200) throw new Error(`login: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** A task of this person; only what the test is about needs to be given. */
export async function buildTask(person: Person, fields: Record<string, unknown> = {}): Promise<Task> {
  const answer = await person.http.post<Task>("/tasks", { title: "A task", ...fields });
  if (answer.status !== 201) throw new Error(`create: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
