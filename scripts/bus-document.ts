import type Joi from "joi";

/** Where the generated part of docs/bus.md begins and ends. */
const MARK = { begin: "<!-- Written by npm run openapi: from here", end: "to here -->" };

interface Contract {
  summary: string;
  params: Joi.ObjectSchema;
  result: Joi.Schema;
  scope?: string;
  role?: string;
  client?: string;
  errors?: readonly string[];
}

interface Event {
  summary: string;
  payload: Joi.ObjectSchema;
}

const READY = "Whether the service can do its work";

/** The document with its tables as the contracts have them now. */
export function renderBusDocument(
  document: string,
  actions: Record<string, Record<string, Contract>>,
  events: Record<string, Event>,
): string {
  const [before = "", rest = ""] = document.split(MARK.begin);
  const after = rest.split(MARK.end).at(1) ?? "";
  const tables = [
    ...Object.entries(actions).map(([service, contracts]) => actionTable(service, contracts)),
    eventTable(events),
  ];
  return `${before}${MARK.begin} -->\n\n${tables.join("\n\n")}\n\n<!-- ${MARK.end}${after}`;
}

function actionTable(service: string, contracts: Record<string, Contract>): string {
  const rows = Object.entries(contracts).map(([name, contract]) => [
    `\`${service}.${name}\``,
    contract.summary,
    fieldsOf(contract.params),
    resultOf(contract.result),
    callersOf(contract),
    (contract.errors ?? []).map((code) => `\`${code}\``).join(", "),
  ]);
  rows.push([`\`${service}.ready\``, READY, "", "`boolean`", "anyone", ""]);
  return `### ${service}\n\n${table(["action", "", "params", "result", "for", "errors"], rows)}`;
}

function eventTable(events: Record<string, Event>): string {
  const rows = Object.entries(events).map(([name, { summary, payload }]) => [
    `\`${name}\``,
    summary,
    fieldsOf(payload),
  ]);
  return `### Events\n\n${table(["event", "", "payload"], rows)}`;
}

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

function callersOf({ scope, role, client }: Contract): string {
  if (client !== undefined) return `the service \`${client}\``;
  if (scope === undefined) return "anyone";
  return role === undefined ? `\`${scope}\`` : `\`${scope}\`, role \`${role}\``;
}

/** `id`, `limit?`: with a question mark, what may be left out. */
function fieldsOf(schema: Joi.ObjectSchema): string {
  const { keys = {} } = schema.describe();
  return Object.entries<Joi.Description>(keys)
    .map(([name, { flags, keys: inner, items = [] }]) => {
      const optional = Object(flags).presence === "required" ? "" : "?";
      const [item, other] = items;
      const within = inner
        ? ` {${namesOf(inner)}}`
        : item?.keys && !other
          ? ` [{${namesOf(item.keys)}}]`
          : "";
      return `\`${name}${optional}${within}\``;
    })
    .join(", ");
}

const namesOf = (keys: object): string => Object.keys(keys).join(", ");

function resultOf(schema: Joi.Schema): string {
  const { type, keys, metas = [], allow = [] } = schema.describe();
  const { title } = Object.assign({}, ...metas);
  if (typeof title === "string") return `\`${title}\``;
  if (keys) return `\`{${Object.keys(keys).join(", ")}}\``;
  return allow.includes(null) ? "`null`" : `\`${type}\``;
}
