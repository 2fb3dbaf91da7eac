import type { Route } from "../../services/api/routes.ts";
import { agendaActions } from "./agenda.schema.ts";

/** What the gateway serves for the agenda, when its EXTRA_ROUTES names this file. */
export const routes: Route[] = [
  { method: "GET", path: "/agenda", action: "agenda.today", access: "bearer", input: "none", status: 200 },
];

/** What the gateway's documentation says of them. */
export const contracts = { agenda: agendaActions };
