import pino from "pino";
import { runFor } from "../tests/support/run-for.ts";
import { pinoOptions, redacted } from "./logs.ts";
import { inRequest } from "./request-context.ts";

/** What a line looks like in the log. */
function lineOf(write: (logger: pino.Logger) => void): { text: string; fields: Record<string, unknown> } {
  const lines: string[] = [];
  write(pino(pinoOptions, { write: (line: string) => void lines.push(line) }));
  const text = lines.join("");
  return { text, fields: JSON.parse(text) };
}

describe("a line of the log", () => {
  it.each([
    "password",
    "newPassword",
    "currentPassword",
    "passwordHash",
    "authorization",
    "Authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "token",
    "accessToken",
    "refreshToken",
    "secret",
    "clientSecret",
    "AUTH_SECRET",
    "passport",
    "apiKey",
    "hash",
  ])("has no %s, at whatever depth", (name) => {
    const { text } = lineOf((logger) =>
      logger.info({ [name]: "hunter2", a: { list: [{ b: { c: { [name]: "hunter2" } } }] } }, "x"),
    );
    expect(text).not.toContain("hunter2");
    expect(text.split("[redacted]")).toHaveLength(3);
  });

  it("keeps what is no secret, and the link of a mail that nobody sends", () => {
    const shown = {
      to: "ada@example.com",
      link: "http://x/#token=tmm_AaIPx8GZcW",
      tokens: 3,
      said: "it is 'here'",
      at: new Date(0),
    };
    expect(lineOf((logger) => logger.info(shown, "mail")).fields).toMatchObject({
      ...shown,
      at: "1970-01-01T00:00:00.000Z",
      msg: "mail",
    });
  });

  it("has no token and no password in its text either", () => {
    const jwt = `eyJ${"a".repeat(20)}.${"b".repeat(20)}.${"c".repeat(20)}`;
    const { text } = lineOf((logger) =>
      logger.warn(
        { url: "amqp://taskmesh:hunter2@rabbit:5672" },
        `refused ${jwt} and tmp_0123456789abc, tmr_0123456789abc, tmc_0123456789abc`,
      ),
    );
    expect(text).toContain("amqp://taskmesh:[redacted]@rabbit:5672");
    expect(text).toContain("refused [redacted] and [redacted], [redacted], [redacted]");
  });

  it.each(["a.", "a://", "a://b:", "eyJ-", "eyJaaaaaaaaaa.", "tmp_", "'", "a"])(
    "is written at once, however long it is: of %s alone",
    (part) => {
      const path = part.repeat(2 ** 19 / part.length);
      runFor(5_000, () => void lineOf((logger) => logger.info({ path, sql: path }, path)));
    },
  );

  it("says of an error of the database what it is, and none of the values", () => {
    const error = Object.assign(new Error("duplicate key"), {
      name: "SequelizeUniqueConstraintError",
      sql: "INSERT INTO users VALUES ('ada@example.com', 'it''s hunter2', $1)",
      parameters: ["hunter2"],
      parent: Object.assign(new Error("duplicate key"), { code: "23505", parameters: ["hunter2"] }),
    });
    const { text, fields } = lineOf((logger) => logger.error({ err: error }, "failed"));
    expect(text).not.toMatch(/hunter2|ada@/);
    expect(fields.err).toMatchObject({
      message: "duplicate key",
      stack: expect.stringContaining("logs.test"),
      sql: "INSERT INTO users VALUES ('…', '…', $1)",
      parent: { code: "23505" },
    });
  });

  it("has the ids of the request that it was written for, unless it says another", () => {
    const request = { requestId: "r1", trace: { traceId: "t1", spanId: "s1", sampled: true }, startedAt: 0 };
    const { fields } = lineOf((logger) => inRequest(request, () => logger.info("x")));
    expect(fields).toMatchObject({ requestId: "r1", traceId: "t1" });
    expect(lineOf((logger) => logger.info("x")).fields).not.toHaveProperty("requestId");
  });

  it("ends where things contain themselves", () => {
    const loop: Record<string, unknown> = { name: "loop" };
    loop.self = loop;
    expect(JSON.stringify(redacted(loop))).toContain("[redacted]");
  });
});
