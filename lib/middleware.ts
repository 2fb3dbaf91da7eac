import type { ActionSchema, Context, Middleware } from "moleculer";

type Next = (ctx: Context) => Promise<unknown>;

/** A middleware around every action that this node serves. */
export const aroundAction = (
  name: string,
  around: (next: Next, action: ActionSchema) => Next,
): Middleware => ({
  name,
  localAction(next, action) {
    // Moleculer's typings ask for a Service as `this` where its code passes the broker; handlers use neither.
    return around((ctx) => Reflect.apply(next, this, [ctx]), action);
  },
});
