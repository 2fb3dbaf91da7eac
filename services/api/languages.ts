import type { IncomingMessage } from "node:http";
import Negotiator from "negotiator";

/** The tag that the client likes best of all that its `Accept-Language` names; whether it is one is not checked. */
export const preferredLanguage = (request: IncomingMessage): string | undefined =>
  new Negotiator(request).languages().find((tag) => tag !== "*");

/** Which of these languages the client likes best (RFC 9110, section 12.5.4); undefined when it likes none. */
export const preferredOf = (request: IncomingMessage, languages: readonly string[]): string | undefined =>
  new Negotiator(request).language([...languages]);
