import type { ServiceSchema } from "moleculer";
import { assertAwaited } from "../../lib/request-context.ts";
import { openHandler } from "./broker.ts";

/** For tests that do something to its process: counts how often it was asked to. */
let count = 0;
const service: ServiceSchema = {
  name: "counter",
  actions: {
    ready: openHandler(() => true),
    add: openHandler(() => ++count),
    addInTime: openHandler(() => {
      assertAwaited();
      return ++count;
    }),
    count: openHandler(() => count),
  },
};

export default service;
