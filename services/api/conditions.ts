import type { IncomingMessage } from "node:http";
import { problem } from "../../lib/errors.ts";

/** RFC 9110, section 8.8.3: with commas in it, also. */
const ENTITY_TAGS = /(W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;
/** What `entityTag` makes. */
const OURS = /^"([1-9]\d{0,8})"$/;

/** The ETag of a version: strong, since a version says everything about its resource. */
export const entityTag = (version: number): string => `"${version}"`;

/**
 * The tags that a header lists; null without the header.
 *
 * @throws invalid_request
 */
function readTags(request: IncomingMessage, name: "if-match" | "if-none-match"): string[] | null {
  const sent = request.headersDistinct[name];
  if (sent === undefined) return null;
  const line = sent.join(",").trim();
  if (line === "*") return ["*"];
  const tags = line.match(ENTITY_TAGS) ?? [];
  // A list may have empty places (section 5.6.1).
  const places = line.replaceAll(ENTITY_TAGS, "*").split(",");
  if (tags.length === 0 || !places.every((place) => ["*", ""].includes(place.trim()))) {
    const header = name === "if-match" ? "If-Match" : "If-None-Match";
    throw problem("invalid_request", `${header} must be * or a list of entity tags, like "3".`);
  }
  return tags;
}

/** What `If-None-Match` compares: weakly, so that W/"3" is "3". `If-Match` compares strongly (RFC 9110, section 8.8.3.2). */
const opaque = (tag: string): string => tag.replace(/^W\//, "");

/** Versions among the tags; a tag that is no version matches none. */
const versionsOf = (tags: string[]): number[] =>
  tags.flatMap((tag) => {
    const version = OURS.exec(tag)?.[1];
    return version === undefined ? [] : [Number(version)];
  });

/**
 * `If-Match` and `If-None-Match` of a write, as params of its action (RFC 9110, section 13.1).
 *
 * @throws invalid_request
 */
export function readConditions(request: IncomingMessage): { ifMatch?: number[]; ifNoneMatch?: number[] } {
  const [match, noneMatch] = [readTags(request, "if-match"), readTags(request, "if-none-match")];
  // `*`: whatever version there is. What is not there is not found in any case.
  const any = (tags: string[]): boolean => tags[0] === "*";
  return {
    ...(match && !any(match) ? { ifMatch: versionsOf(match) } : {}),
    ...(noneMatch && !any(noneMatch) ? { ifNoneMatch: versionsOf(noneMatch.map(opaque)) } : {}),
    ...(noneMatch && any(noneMatch) ? { ifMatch: [] } : {}),
  };
}

/** Whether a reader has this already. @throws invalid_request */
export function isFresh(request: IncomingMessage, tag: string): boolean {
  const tags = readTags(request, "if-none-match");
  return tags?.some((each) => each === "*" || opaque(each) === tag) ?? false;
}
