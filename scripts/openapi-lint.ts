import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Ruleset, Spectral } from "@stoplight/spectral-core";
import { oas } from "@stoplight/spectral-rulesets";

/** Names that the linters show the document by. */
const NAME = "openapi.json";

/**
 * What the recommended rules of Redocly and of Spectral find in an OpenAPI document, warnings too; one line each.
 *
 * @param text the document as JSON
 */
export async function lintOpenApi(text: string): Promise<string[]> {
  return [...(await byRedocly(text)), ...(await bySpectral(text))];
}

async function byRedocly(text: string): Promise<string[]> {
  const config = await createConfig({ extends: ["recommended"] });
  const found = await lintFromString({ source: text, absoluteRef: NAME, config });
  return found.map(
    ({ ruleId, message, location }) => `redocly ${ruleId} at ${location[0]?.pointer}: ${message}`,
  );
}

async function bySpectral(text: string): Promise<string[]> {
  const spectral = new Spectral();
  spectral.setRuleset(
    new Ruleset({
      extends: [[oas, "recommended"]],
      rules: {
        // Who runs Taskmesh is the contact, and this document can't know who that is.
        "info-contact": "off",
        // Wants scopes to be defined as OAuth's are; since OpenAPI 3.1 a bearer scheme may name what it needs, too.
        // That the scheme itself exists is checked by Redocly.
        "oas3-operation-security-defined": "off",
        // Most summaries leave nothing to explain.
        "operation-description": "off",
      },
    }),
  );
  const found = await spectral.run(text);
  return found.map(({ code, message, path }) => `spectral ${code} at ${path.join(".")}: ${message}`);
}
