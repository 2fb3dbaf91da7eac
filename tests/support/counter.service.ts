import type { ServiceSchema } from "moleculer";
import { openHandler } from "./broker.ts";

/** For tests that do something to its process: counts how often it was asked to. */
let count = 0;
const service: ServiceSchema = {
  name: "counter",
  actions: {
    ready: openHandler(() => true),
    add: openHandler(() => ++count),
    count: openHandler(() => count),
  },
};

export default service;
