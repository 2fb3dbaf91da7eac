/** An error whose message is all that the person who started Taskmesh needs: one paragraph, never a stack. */
export function refusal(message: string): Error {
  const error = new Error(message);
  error.name = "Refusal";
  return error;
}

/** Says what went wrong in words; of an error that nobody foresaw it shows the stack, but only when asked to. */
export function explain(error: unknown, withStack: boolean): string {
  if (!isObject(error)) return String(error);
  if (error.name === "Refusal") return String(error.message);
  if (withStack && typeof error.stack === "string") return error.stack;
  return `${error.message || codeOf(error) || String(error)} (LOG_LEVEL=debug shows where)`;
}

/** The system's or library's code of an error, e.g. `EADDRINUSE`. */
export function codeOf(error: unknown): string | undefined {
  return isObject(error) && typeof error.code === "string" ? error.code : undefined;
}

/** By shape and not `instanceof Error`: an error may come from another realm, as under Jest. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
