import { Errors, type Middleware } from "moleculer";

/** Milliseconds after a call's timeout when its answer is given up for good. */
const GRACE = 100;

/**
 * Gives up a remote call that was not answered in time. Moleculer rejects the caller's promise but leaves the one that
 * its context tracker waits for open: a node would wait for the whole shutdown timeout before it stops.
 */
export const settleLate: Middleware = {
  name: "SettleLate",
  remoteAction(next, action) {
    return (ctx) => {
      const { timeout } = ctx.options;
      const answer: Promise<unknown> = Reflect.apply(next, this, [ctx]);
      if (!timeout) return answer;
      return new Promise((resolve, reject) => {
        const late = () =>
          reject(new Errors.RequestTimeoutError({ action: action.name, nodeID: ctx.nodeID }));
        const timer = setTimeout(late, timeout + GRACE);
        answer.then(resolve, reject).finally(() => clearTimeout(timer));
      });
    };
  },
};
