/*
 * Who may import whom: the table of docs/architecture.md. A file's role is in its name. Tests may import anything.
 */

const TEST = "\\.test\\.ts$|^tests/";
const SERVICE = "^services/([^/]+)/";
/** The same service's files; `$1` is what SERVICE caught. */
const own = (files) => `^services/$1/${files}`;
const packages = (names) => `^node_modules/(?:${names})/`;

/** Packages with rules of their own below; any other is a tool that every layer may use. */
const FRAMEWORK = "moleculer|moleculer-[^/]+|sequelize|umzug|pg|amqplib|joi";
const DATABASE = "moleculer-db|moleculer-db-adapter-sequelize|sequelize|umzug|pg";
const TOOLS = `^node_modules/(?!(?:${FRAMEWORK})/)`;

/** A rule that `from` imports nothing of `to`. Extra conditions narrow `to` further. */
const forbid = (name, comment, from, to) => ({
  name,
  comment,
  severity: "error",
  from: { pathNot: TEST, ...from },
  to,
});

/** A rule that `from` imports nothing but Node's own modules and `allowed`; types, unless `strict`, are free. */
const allowOnly = (name, comment, from, allowed, { strict = false } = {}) =>
  forbid(
    name,
    comment,
    { path: from },
    {
      pathNot: allowed,
      dependencyTypesNot: strict ? ["core"] : ["core", "type-only"],
    },
  );

module.exports = {
  forbidden: [
    {
      name: "no-cycle",
      comment: "Files in a circle can only be understood, tested and loaded together.",
      severity: "error",
      from: {},
      to: { circular: true },
    },

    // Folders
    allowOnly(
      "service-apart",
      "A service uses lib, mixins, config and its own files. Services meet on the bus only: each can run alone.",
      SERVICE,
      [own(""), "^(lib|mixins|config)/", "^node_modules/"],
      { strict: true },
    ),
    forbid(
      "shared-code-below-services",
      "What services share must not know any of them.",
      { path: "^(lib|mixins|config)/" },
      { path: "^services/" },
    ),
    forbid(
      "env-stands-alone",
      "The settings are read before anything else runs.",
      { path: "^config/" },
      { path: "^(lib|mixins|services)/" },
    ),
    forbid(
      "commands-are-leaves",
      "Scripts, tests and benchmarks use the rest and each other; nothing else knows them.",
      { pathNot: ["^(scripts|tests|bench)/", TEST] },
      { path: "^(scripts|tests|bench)/" },
    ),
    forbid(
      "scripts-without-tests",
      "A script must run where tests are not installed.",
      { path: "^scripts/" },
      { path: "^(tests|bench)/" },
    ),

    // Roles
    allowOnly(
      "schema-is-joi",
      "A schema describes input: Joi, other schemas, and lib/schema.ts.",
      `${SERVICE}.*[./]schema\\.ts$`,
      [packages("joi"), own(".*\\.schema\\.ts$"), "^lib/schema\\.ts$"],
    ),
    allowOnly(
      "logic-is-pure",
      "Rules run without a bus, a database and settings: what they need is handed to them.",
      `${SERVICE}.*[./]logic\\.ts$`,
      [
        own(".*\\.(logic|schema)\\.ts$"),
        "^lib/(address|bounded-queue|errors|fair-queue|misses|passport|share-work)\\.ts$",
        TOOLS,
      ],
    ),
    forbid(
      "logic-names-no-framework",
      "Not even their types: a rule's signature is of this domain.",
      { path: `${SERVICE}.*[./]logic\\.ts$` },
      { path: [packages(FRAMEWORK), "^(config|mixins)/"] },
    ),
    allowOnly(
      "repository-is-data-access",
      "A repository finds or returns null: SQL and its own models.",
      `${SERVICE}.*[./]repository\\.ts$`,
      [
        // pg: a LISTEN needs a connection of its own, outside Sequelize's pool.
        packages("moleculer-db|moleculer-db-adapter-sequelize|sequelize|pg"),
        own("models/"),
        own(".*\\.(repository|sql)\\.ts$"),
        "^mixins/(database|statements)\\.ts$",
        TOOLS,
      ],
    ),
    forbid(
      "repository-does-not-judge",
      "Whether an absence is an error is for the logic to say.",
      { path: `${SERVICE}.*[./](repository|sql)\\.ts$` },
      { path: "^lib/errors\\.ts$" },
    ),
    allowOnly(
      "model-is-columns",
      "A model declares columns; a migration speaks SQL.",
      `${SERVICE}(models|migrations)/`,
      [packages("sequelize")],
    ),
    forbid(
      "models-behind-repository",
      "Only repositories see rows of the database as models.",
      { path: "^services/", pathNot: [TEST, "[./]repository\\.ts$", "^services/[^/]+/models/"] },
      { path: "^services/[^/]+/models/" },
    ),
    forbid(
      "database-behind-repository",
      "A presentation file that speaks SQL hides a rule or a query.",
      {
        path: "^services/",
        pathNot: [TEST, "[./](repository|sql)\\.ts$", "^services/[^/]+/(models|migrations)/"],
      },
      { path: packages(DATABASE) },
    ),

    // Packages
    {
      name: "resolvable",
      comment: "A file or package that is not there.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "listed-package",
      comment: "A package that only happens to be installed vanishes with the next update of another.",
      severity: "error",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
    forbid(
      "runs-on-production-packages",
      "The container has no development and no optional packages.",
      {
        path: "^(config|lib|mixins|services)/|^scripts/(service|migrate|parent)\\.ts$|^moleculer\\.config\\.ts$",
      },
      { dependencyTypes: ["npm-dev", "npm-optional"], dependencyTypesNot: ["type-only"] },
    ),
  ],
  options: {
    // dependency-cruiser does not know TypeScript 7 yet; swc tells types from values as well.
    parser: "swc",
    tsPreCompilationDeps: true,
    // examples/ has a package.json of its own and uses the packages of this one.
    combinedDependencies: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(\\.data|\\.stryker-tmp|coverage|reports)/" },
  },
};
