import Joi from "joi";
import type { ActionSchema, Context } from "moleculer";
import type { Bus } from "./bus.ts";
import { type ProblemCode, problem } from "./errors.ts";
import type { Identity, Scope } from "./passport.ts";
import { locale, noParams } from "./schema.ts";
import { joi } from "./validator.ts";

/**
 * What an action promises: the schemas that validate it also type it and describe it in the OpenAPI document.
 * `.schema` files hold them; `action()` and `openAction()` bind them to a handler.
 */
export interface Contract<Params, Result> {
  summary: string;
  params: Joi.ObjectSchema<Params>;
  result: Joi.Schema<Result>;
  /** Params that have a default: whoever calls may leave them out. */
  defaults?: readonly (keyof Params)[];
  /** What the caller must be allowed to do; every action for signed-in people names one. */
  scope?: Scope;
  /** Only a service that acts for the person by this name may call it: `auth` is auth itself. */
  client?: string;
  /**
   * `admin`: for administrators who are signed in themselves, no API token and no service.
   * `service`: for services by their own passport.
   */
  role?: "admin" | "service";
  /** Codes beyond those that any action can answer. */
  errors?: readonly ProblemCode[];
}

/** Where a request entered the mesh, as the gateway saw it. For display and audit only: a node could invent it. */
export interface Client {
  address?: string;
  userAgent?: string;
  /** BCP 47 tag, in its canonical form, of the language that the client likes best. */
  locale?: string;
}

/** Who calls an action, as the passport says; nothing else of it is to be believed. */
export interface Caller extends Identity {
  /** Where the call entered the mesh: for display and audit only. Absent when it was not by the gateway. */
  from?: Client;
}

/** What a handler gets: calls and events that are known take what they say they take, others are not there. */
export type ActionContext<P> = Omit<Context<P>, keyof Bus> & Bus;

type Guarded = ActionSchema & {
  access: "passport" | "open";
  scope?: Scope | undefined;
  client?: string;
  role?: "admin" | "service";
};

/** An action for a person. The passport guard has verified who that is, and the scope, before the handler runs. */
export function action<P, R>(
  contract: Contract<P, R> & ({ scope: Scope } | { client: string }),
  handler: (params: P, caller: Caller, ctx: ActionContext<P>) => Promise<R>,
): Guarded {
  return {
    access: "passport",
    scope: contract.scope,
    ...(contract.client ? { client: contract.client } : {}),
    ...(contract.role ? { role: contract.role } : {}),
    params: joi(contract.params),
    handler: (ctx: Context<P, { client?: unknown }>) => handler(ctx.params, callerOf(ctx), ctx),
  };
}

/** An action that anyone on the bus may call: it protects nothing, or checks its own credentials. */
export function openAction<P, R>(
  contract: Contract<P, R>,
  handler: (params: P, client: Client, ctx: ActionContext<P>) => Promise<R>,
): Guarded {
  return {
    access: "open",
    params: joi(contract.params),
    handler: (ctx: Context<P, { client?: unknown }>) => handler(ctx.params, readClient(ctx.meta.client), ctx),
  };
}

function callerOf({ locals, meta }: Context<unknown, { client?: unknown }>): Caller {
  const identity: Identity = locals.identity;
  return meta.client === undefined ? identity : { ...identity, from: readClient(meta.client) };
}

const languageTag = locale();

function readClient(meta: unknown): Client {
  if (typeof meta !== "object" || meta === null) return {};
  const client: Client = {};
  if ("address" in meta && typeof meta.address === "string") client.address = meta.address.slice(0, 64);
  if ("userAgent" in meta && typeof meta.userAgent === "string")
    client.userAgent = meta.userAgent.slice(0, 512);
  if ("locale" in meta) {
    const { value, error } = languageTag.validate(meta.locale);
    if (value !== undefined && !error) client.locale = value;
  }
  return client;
}

/** How a request can be told when it comes again; by whoever sends it. */
export interface Delivery {
  /** Chosen by the client, who may repeat the request with it: 1 to 255 visible characters. */
  idempotencyKey?: string;
  /** A UUID for this request alone: the gateway gives one to each, since it asks another node when one does not answer. */
  operationId?: string;
  /** Lets the caller know, in `ctx.meta.replayed`, that the answer is that of the first time. */
  onReplay: () => void;
}

const KEY = /^[\x21-\x7e]{1,255}$/;
export const isIdempotencyKey = (key: string): boolean => KEY.test(key);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads `idempotencyKey` and `operationId` of a call's meta. @throws invalid_request */
export function readDelivery({ meta }: { meta: object }): Delivery {
  const fields: Record<string, unknown> = { ...meta };
  const { idempotencyKey, operationId } = fields;
  const delivery: Delivery = { onReplay: () => void Object.assign(meta, { replayed: true }) };
  if (idempotencyKey !== undefined) {
    if (typeof idempotencyKey !== "string" || !isIdempotencyKey(idempotencyKey))
      throw problem("invalid_request", "An idempotency key has 1 to 255 visible characters.");
    delivery.idempotencyKey = idempotencyKey;
  }
  if (operationId !== undefined) {
    if (typeof operationId !== "string" || !UUID.test(operationId))
      throw problem("invalid_request", "operationId must be a UUID in lower case.");
    delivery.operationId = operationId;
  }
  return delivery;
}

/**
 * `<service>.ready`: whether this service can do its work, for health checks.
 *
 * @throws what `check` throws: the service is not ready
 */
export const readyAction = (
  check: (ctx: ActionContext<Record<string, never>>) => Promise<unknown>,
): Guarded =>
  openAction(
    { summary: "Whether the service can do its work", params: noParams(), result: Joi.boolean() },
    async (_params, _client, ctx) => {
      await check(ctx);
      return true;
    },
  );
