import type { ServiceSchema } from "moleculer";
import { action, readyAction } from "../../lib/action.ts";
import { readAgenda } from "./agenda.logic.ts";
import { agendaActions } from "./agenda.schema.ts";

/** The day of the person whose passport a call carries. The passport travels along to whatever `ctx.call` calls. */
const agendaService: ServiceSchema = {
  name: "agenda",

  actions: {
    today: action(agendaActions.today, (_params, _caller, ctx) =>
      readAgenda((filter) => ctx.call("tasks.list", filter)),
    ),

    ready: readyAction((ctx) => ctx.call("tasks.ready")),
  },
};

export default agendaService;
