import type { ActionsOf, EventsOf } from "../lib/bus.ts";
import type { authActions } from "./auth/auth.schema.ts";
import type { authEvents } from "./auth/events.schema.ts";
import type { taskEvents } from "./tasks/events.schema.ts";
import type { taskActions } from "./tasks/tasks.schema.ts";

/*
 * Tells the compiler what this project's services have on the bus. Types only: nothing of a service comes along.
 * A service that joins says `import type {} from "…/services/bus.ts"` once, and adds its own in the same way.
 */

declare module "../lib/bus.ts" {
  interface Actions extends ActionsOf<"auth", typeof authActions>, ActionsOf<"tasks", typeof taskActions> {}
  interface Actions extends ActionsOf<"api", Record<never, never>> {}
  interface Events extends EventsOf<typeof authEvents>, EventsOf<typeof taskEvents> {}
}
