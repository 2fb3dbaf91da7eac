import { Errors } from "moleculer";
import {
  notFound,
  type ProblemCode,
  problem,
  problems,
  unavailable,
  validationFailed,
} from "../../lib/errors.ts";
import { type Failed, toProblem } from "./problem.ts";

const FAILED: Failed = { path: "/tasks", requestId: "request-1", pathParams: [], input: "body" };

const shown = (error: unknown, failed: Partial<Failed> = {}) => toProblem(error, { ...FAILED, ...failed });

const wrong = (...path: (string | number)[]) =>
  validationFailed([{ path, code: "too_short", detail: `"${path.join(".")}" is too short.` }]);

/** What is told of a violation at this path. */
const itemOf = (error: Error, failed: Partial<Failed> = {}) => shown(error, failed).errors?.[0];

describe("a problem", () => {
  it("says what every code says, in the form of RFC 9457", () => {
    const toldOtherwise = ["not_found", "invalid_passport"];
    const codes = Object.keys(problems).filter((code): code is ProblemCode => code in problems);
    for (const code of codes.filter((code) => problems[code].status < 500 && !toldOtherwise.includes(code))) {
      expect(shown(problem(code, "What happened."))).toEqual({
        type: `/docs/problems#${code}`,
        title: problems[code].title,
        status: problems[code].status,
        detail: "What happened.",
        instance: "/tasks",
        code,
        requestId: "request-1",
      });
    }
  });

  it("points at what is wrong in a body by RFC 6901, with ~ and / escaped", () => {
    expect(itemOf(wrong("tags", 3))).toMatchObject({ pointer: "/tags/3" });
    expect(itemOf(wrong("a/b", "c~d", "~1", ""))).toMatchObject({ pointer: "/a~1b/c~0d/~01/" });
    expect(itemOf(wrong())).toMatchObject({ pointer: "" });
  });

  it("leaves out the param that the body was handed over as, which the client never wrote", () => {
    expect(itemOf(wrong("patch", "title"), { bodyAs: "patch" })).toEqual({
      pointer: "/title",
      code: "too_short",
      detail: '"title" is too short.',
    });
    expect(itemOf(wrong("patch"), { bodyAs: "patch" })).toMatchObject({ pointer: "" });
    expect(shown(wrong("patch", "title"), { bodyAs: "patch" }).detail).toBe('"title" is too short.');
  });

  it("names the parameter of a query", () => {
    expect(itemOf(wrong("limit"), { input: "query" })).toMatchObject({ parameter: "limit" });
    const both = validationFailed([{ path: ["x"], code: "unknown_parameter", detail: "No.", in: "query" }]);
    expect(itemOf(both)).toEqual({ parameter: "x", code: "unknown_parameter", detail: "No." });
    const unknown = validationFailed([{ path: ["x"], code: "unknown_field", detail: "No." }]);
    expect(itemOf(unknown, { input: "query" })).toEqual({
      parameter: "x",
      code: "unknown_parameter",
      detail: "No.",
    });
  });

  it("of a path that could not exist is the same as of a missing thing", () => {
    const impossible = shown(wrong("id"), { pathParams: ["id"], input: "none" });
    const missing = shown(notFound("task"), { pathParams: ["id"], input: "none" });

    expect(impossible).toEqual(missing);
    expect(missing).toMatchObject({ status: 404, code: "not_found" });
  });

  it("of a body's field named like a part of the path is no missing thing", () => {
    const error = validationFailed([{ path: ["id"], code: "unknown_field", detail: "No.", in: "body" }]);
    for (const input of ["body", "none", "query"] as const)
      expect(shown(error, { pathParams: ["id"], input })).toMatchObject({
        status: 422,
        errors: [{ pointer: "/id" }],
      });
  });

  it("of a query parameter named like a part of the path is no missing thing", () => {
    const error = validationFailed([{ path: ["id"], code: "unknown_parameter", detail: "No.", in: "query" }]);
    expect(shown(error, { pathParams: ["id"] })).toMatchObject({
      status: 422,
      errors: [{ parameter: "id" }],
    });
  });
});

describe("an error of a service that the gateway does not know", () => {
  it("is shown with its own code and message when it is the client's", () => {
    const error = new Errors.MoleculerClientError("The list is full.", 409, "LIST_FULL");
    expect(shown(error)).toMatchObject({
      type: "/docs/problems#list_full",
      title: "The list is full.",
      detail: "The list is full.",
      status: 409,
      code: "list_full",
    });
  });

  it("is internal when it is the service's own, whatever its code", () => {
    const error = new Errors.MoleculerServerError("SELECT failed on db-1", 500, "DB_DOWN");
    expect(shown(error)).toMatchObject({ status: 500, code: "internal" });
  });

  it("has its violations shown when Fastest Validator found them", () => {
    const error = new Errors.ValidationError("Parameters validation error!", "VALIDATION_ERROR", [
      { field: "address.zip", type: "stringMin", message: "The zip is too short." },
    ]);
    expect(shown(error)).toMatchObject({
      status: 422,
      code: "validation_failed",
      errors: [{ pointer: "/address/zip", code: "stringMin", detail: "The zip is too short." }],
    });
  });
});

describe("a failure of the service", () => {
  const SECRET = "password=hunter2 at /srv/app.ts:7 on 10.0.0.7";

  it.each<[string, unknown, number, string]>([
    ["a plain error", new Error(SECRET), 500, "internal"],
    ["a type error", new TypeError(SECRET), 500, "internal"],
    ["a thrown text", SECRET, 500, "internal"],
    ["nothing thrown", undefined, 500, "internal"],
    ["an internal problem", problem("internal", SECRET), 500, "internal"],
    ["an unavailable problem", unavailable(SECRET), 503, "unavailable"],
    ["a status that is none", new Errors.MoleculerError(SECRET, 0, "ODD"), 500, "internal"],
    ["a status beyond 599", new Errors.MoleculerError(SECRET, 999, "ODD"), 500, "internal"],
    ["a redirection", new Errors.MoleculerError(SECRET, 302, "ODD"), 500, "internal"],
    ["a status that is text", Object.assign(new Error(SECRET), { code: "404" }), 500, "internal"],
    ["a service that is not there", new Errors.ServiceNotFoundError({ action: SECRET }), 503, "unavailable"],
    ["a service that stopped", new Errors.ServiceNotAvailableError({ action: SECRET }), 503, "unavailable"],
    [
      "a call that took too long",
      new Errors.RequestTimeoutError({ action: SECRET, nodeID: "n" }),
      503,
      "unavailable",
    ],
    [
      "a call that came too late",
      new Errors.RequestSkippedError({ action: SECRET, nodeID: "n" }),
      503,
      "unavailable",
    ],
    ["an open circuit", new Errors.RequestRejectedError({ action: SECRET, nodeID: "n" }), 503, "unavailable"],
    [
      "a full queue",
      new Errors.QueueIsFullError({ action: SECRET, nodeID: "n", size: 1, limit: 1 }),
      503,
      "unavailable",
    ],
    ["a lost broker", new Errors.MoleculerRetryableError(SECRET, 502, "BAD_GATEWAY"), 503, "unavailable"],
    ["a passport that a service refused", problem("invalid_passport", SECRET), 503, "unavailable"],
  ])("as %s never shows its message", (_, error, status, code) => {
    const { title, detail, ...rest } = shown(error);

    expect(rest).toMatchObject({ status, code });
    expect(detail).toBe("The request could not be completed. Please try again in a moment.");
    expect(JSON.stringify({ title, detail, ...rest })).not.toMatch(/hunter2|\/srv|10\.0\.0/);
  });
});
