import type Joi from "joi";
import type { CallingOptions } from "moleculer";

/*
 * What is on the bus, by name. Each service says what it has: `services/bus.ts` does for the three of this project,
 * one that joins does the same for its own. From then on `ctx.call("tasks.list", …)` knows its params and its result.
 */

/** Actions by their names, as `ActionsOf` makes them of a service's contracts. */
// biome-ignore lint/suspicious/noEmptyInterface: services put theirs in
export interface Actions {}

/** Payloads of events by their names. */
// biome-ignore lint/suspicious/noEmptyInterface: services put theirs in
export interface Events {}

/** What a caller passes: a param with a default may be left out. */
type ParamsIn<Contract> = Contract extends { params: Joi.ObjectSchema<infer P> }
  ? Contract extends { defaults: readonly (infer D)[] }
    ? Omit<P, D & keyof P> & Partial<Pick<P, D & keyof P>>
    : P
  : never;

type ResultIn<Contract> = Contract extends { result: Joi.Schema<infer R> } ? R : never;

/** A service's actions for `Actions`, with `<service>.ready`, which every service has. */
export type ActionsOf<Service extends string, Contracts> = {
  [Name in keyof Contracts & string as `${Service}.${Name}`]: {
    params: ParamsIn<Contracts[Name]>;
    result: ResultIn<Contracts[Name]>;
  };
} & { [Name in `${Service}.ready`]: { params: Record<string, never>; result: boolean } };

/** A service's events for `Events`. */
export type EventsOf<Contracts> = {
  [Name in keyof Contracts]: Contracts[Name] extends { payload: Joi.ObjectSchema<infer P> } ? P : never;
};

/** What `ctx.call` takes for this action, and what it answers. */
export type ParamsOf<Name extends keyof Actions> = Actions[Name] extends { params: infer P } ? P : never;
export type ResultOf<Name extends keyof Actions> = Actions[Name] extends { result: infer R } ? R : never;

/** Params come second; where all of them may be left out, so may they. */
type CallArguments<P> =
  Record<never, never> extends P
    ? [params?: P, options?: CallingOptions]
    : [params: P, options?: CallingOptions];

/** A name that nothing is known of. */
type Unknown<Name, Map> = Name extends keyof Map ? never : Name;

/** A way onto the bus where what is known has to be right: wrong params of a known action do not compile. */
export interface Bus {
  // The compiler explains the last one when none fits.
  call<Result, Name extends string = string>(
    name: Unknown<Name, Actions>,
    params?: unknown,
    options?: CallingOptions,
  ): Promise<Result>;
  call<Name extends keyof Actions>(
    name: Name,
    ...args: CallArguments<ParamsOf<Name>>
  ): Promise<ResultOf<Name>>;

  emit<Name extends string>(name: Unknown<Name, Events>, payload?: unknown, groups?: string[]): Promise<void>;
  emit<Name extends keyof Events>(name: Name, payload: Events[Name], groups?: string[]): Promise<void>;

  broadcast<Name extends string>(
    name: Unknown<Name, Events>,
    payload?: unknown,
    groups?: string[],
  ): Promise<void>;
  broadcast<Name extends keyof Events>(name: Name, payload: Events[Name], groups?: string[]): Promise<void>;
}

/** What comes of a call of this action with other params than it takes: nothing that code could use. */
export interface WrongParams<Name> {
  "not the params of": Name;
}

/*
 * Moleculer's own broker and context. Their methods cannot be taken back: where the params of a known action are
 * wrong, the compiler finds another overload. So it is the result that does not fit.
 */
declare module "moleculer" {
  interface Context {
    call<Name extends keyof Actions>(
      name: Name,
      ...args: CallArguments<ParamsOf<Name>>
    ): Promise<ResultOf<Name>>;
    call<Name extends keyof Actions>(name: Name, ...args: unknown[]): WrongParams<Name>;
    emit<Name extends keyof Events>(name: Name, payload: Events[Name], groups?: string[]): Promise<void>;
    broadcast<Name extends keyof Events>(name: Name, payload: Events[Name], groups?: string[]): Promise<void>;
  }
  interface ServiceBroker {
    call<Name extends keyof Actions>(
      name: Name,
      ...args: CallArguments<ParamsOf<Name>>
    ): Promise<ResultOf<Name>>;
    call<Name extends keyof Actions>(name: Name, ...args: unknown[]): WrongParams<Name>;
    emit<Name extends keyof Events>(name: Name, payload: Events[Name], groups?: string[]): Promise<void>;
    broadcast<Name extends keyof Events>(name: Name, payload: Events[Name], groups?: string[]): Promise<void>;
  }
}
