import { driver } from "../../mixins/database.ts";
import { query } from "./database.ts";

interface Plan {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Cond"?: string;
  Plans?: Plan[];
}

export const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

/** The plans of the statements that this work sends, but for those about no table of a service. */
export async function plansOf(url: string, work: () => Promise<unknown>): Promise<Plan[]> {
  const sent: { text: string; values: unknown[] }[] = [];
  const { query: send } = driver.Client.prototype;
  const recorded = function (this: unknown, ...args: unknown[]): unknown {
    const [{ text, sql, values }, bind] = [Object(args[0]), args[1]];
    if (typeof text === "string") sent.push({ text, values });
    else sent.push({ text: String(sql ?? args[0]), values: Array.isArray(bind) ? bind : [] });
    return Reflect.apply(send, this, args);
  };
  Object.assign(driver.Client.prototype, { query: recorded });
  await work();
  Object.assign(driver.Client.prototype, { query: send });
  const plans: Plan[] = [];
  for (const { text, values } of sent.filter((each) => /(auth|tasks)\./.test(each.text))) {
    const [row] = await query(url, `EXPLAIN (FORMAT JSON) ${text}`, values);
    plans.push(Object(Object(row)["QUERY PLAN"])[0].Plan);
  }
  return plans;
}
