import cors from "cors";
import type { CallingOptions, Context, ServiceBroker, ServiceSchema } from "moleculer";
import ApiGateway, { type ApiSettingsSchema } from "moleculer-web";
import { loadEnv } from "../../config/env.ts";
import { readyAction } from "../../lib/action.ts";
import { isDraining } from "../../lib/draining.ts";
import { unavailable } from "../../lib/errors.ts";
import { currentRequest } from "../../lib/request-context.ts";
import { createAliases } from "./aliases.ts";
import { busOf, createCalls, nodesOf } from "./calls.ts";
import { committedDocument, documentPages } from "./docs.ts";
import { createEventStreams } from "./event-streams.ts";
import { loadRoutes } from "./extra-routes.ts";
import { httpServerMixin } from "./http-server.ts";
import { createLargeBodies } from "./large-bodies.ts";
import { throttledRequests } from "./metrics.ts";
import { pages } from "./pages.ts";
import { createRateLimits } from "./rate-limit.ts";
import { createTurns } from "./turns.ts";

const env = loadEnv();
const { routes, document } = await loadRoutes(env.EXTRA_ROUTES, committedDocument);
const limits = createRateLimits({
  on: env.RATE_LIMIT === "on",
  trustedProxies: env.TRUST_PROXY,
  onRefused: (policy) => throttledRequests.inc({ policy }),
});

const largeBodies = createLargeBodies({
  onRefused: () => throttledRequests.inc({ policy: "large-bodies" }),
});
const turns = createTurns({
  clock: () => performance.now(),
  onRefused: (kind) => throttledRequests.inc({ policy: `${kind}s` }),
});

let broker: ServiceBroker;
const streams = createEventStreams({
  call(call, requestID) {
    const id = requestID === undefined ? {} : { requestID };
    const bus = busOf(broker, (action, params, options) =>
      broker.call(action, params, { ...options, ...id }),
    );
    return createCalls(bus).call(call);
  },
});

const { aliases, fail } = createAliases({
  routes,
  pages: [...documentPages(document), ...pages],
  trustedProxies: env.TRUST_PROXY,
  limits,
  largeBodies,
  streams,
  turns,
});

/** Answers a browser may show to scripts of other origins. */
const EXPOSED_HEADERS = [
  "ETag",
  "Link",
  "Location",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "X-Request-Id",
];
/** Services that the gateway can't do without. */
const NEEDED = ["auth", "tasks"] as const;
/** Milliseconds that they have to say that they are ready: less than whoever asks the gateway waits. */
const READY_TIMEOUT = 1_500;

/** Compares whole origins; one that is not listed gets an answer that its browser withholds. */
const crossOrigin = cors({
  origin: env.CORS_ORIGINS,
  exposedHeaders: EXPOSED_HEADERS,
  maxAge: 600,
  // Whatever the origin, OPTIONS is answered by the method fallback.
  preflightContinue: true,
});

/** One id for a request through gateway, bus, logs and problem documents. (Typed as options, served as a function.) */
const requestIds: Record<string, unknown> = {
  rootCallOptions(options: CallingOptions) {
    const request = currentRequest();
    if (request) options.requestID = request.requestId;
    // A stream lasts. What a request waits for has timeouts of its own: its calls, and what it sends.
    options.timeout = 0;
  },
};

/** The HTTP edge: routes.ts says what it serves, everything else here is how. */
const apiService: ServiceSchema<ApiSettingsSchema> = {
  name: "api",
  // Without moleculer-web's own actions that let any node add routes.
  mixins: [
    httpServerMixin(env.HOST, env.PORT),
    { ...ApiGateway, actions: { rest: ApiGateway.actions?.rest ?? false } },
  ],

  settings: {
    // Settings are sent to every node; none of these is of use there.
    $secureSettings: ["routes", "rootCallOptions", "onError"],
    routes: [
      {
        path: "/",
        aliases,
        mappingPolicy: "restrict",
        // Reading input is the handlers' business, after the caller is known.
        bodyParsers: false,
        mergeParams: false,
        use: [crossOrigin],
        logging: false,
      },
    ],
    logRouteRegistration: null,

    ...requestIds,
    onError: fail,
  },

  actions: {
    ready: readyAction(async (ctx) => {
      if (isDraining(ctx.broker)) throw unavailable();
      // One of a service's nodes is enough: requests find it (calls.ts).
      const checks = NEEDED.map((name) => {
        const action = `${name}.ready`;
        const ask = (nodeID: string) => ctx.call(action, {}, { nodeID, timeout: READY_TIMEOUT });
        return Promise.any(nodesOf(ctx.broker, action).map(ask));
      });
      await Promise.all(checks).catch(() => {
        throw unavailable();
      });
    }),
  },

  // Hints for streams, by any node: each makes the gateway look for itself.
  events: {
    "tasks.changed": (ctx: Context<{ userId?: unknown }>) => streams.changed(String(ctx.params.userId)),
    "auth.changed": ({ params: { kind, id } }: Context<{ kind?: unknown; id?: unknown }>) =>
      streams.revoked({ kind: String(kind), id: String(id) }),
    "$transporter.connected": () => streams.check(),
  },

  created() {
    broker = this.broker;
    // Before Moleculer waits for the requests that are running: streams would not end by themselves.
    broker.middlewares.add({ name: "EndStreams", stopping: async () => streams.close() });
  },
};

export default apiService;
