import type { IncomingMessage, ServerResponse } from "node:http";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { networkOf } from "../../lib/address.ts";
import { problem } from "../../lib/errors.ts";
import { clientAddress } from "./client-address.ts";
import type { Route } from "./routes.ts";

/** Requests in a window of so many seconds. */
interface Policy {
  quota: number;
  window: number;
}

/** One of them counts for each request; a client sees its name and figures in `RateLimit-Policy`. */
const policies = {
  /** A signed-in person, with all sessions and API tokens. */
  user: { quota: 600, window: 60 },
  /** A network, for whatever is asked without credentials, or with wrong ones. */
  address: { quota: 300, window: 60 },
  /** A network, for what anyone may ask services to change: registering, signing in, refreshing. */
  "open-writes": { quota: 100, window: 60 },
} as const satisfies Record<string, Policy>;

type PolicyName = keyof typeof policies;

export interface RateLimits {
  /** Counts a request of somebody who is not known (yet). @throws too_many_requests */
  countAddress(request: IncomingMessage, response: ServerResponse, route?: Route): Promise<void>;
  /** Counts a request of this user. @throws too_many_requests */
  countUser(userId: string, response: ServerResponse): Promise<void>;
  /** Counts a request that failed before anybody counted it. @throws too_many_requests */
  countFailed(request: IncomingMessage, response: ServerResponse): Promise<void>;
}

/** What RATE_LIMIT=off puts in its place: no limit and no headers. */
const unlimited: RateLimits = {
  countAddress: async () => {},
  countUser: async () => {},
  countFailed: async () => {},
};

/**
 * General limits on requests, so that one client leaves room for others. Each gateway counts in its own memory:
 * with several, a client has as many times the quota. Guessing passwords is slowed by auth, for all gateways.
 */
export function createRateLimits(options: {
  on: boolean;
  trustedProxies: number;
  /** Told of each request that went over a limit. */
  onRefused: (policy: PolicyName) => void;
}): RateLimits {
  if (!options.on) return unlimited;
  const limiterOf = ({ quota, window }: Policy) => new RateLimiterMemory({ points: quota, duration: window });
  const limiters: Record<PolicyName, RateLimiterMemory> = {
    user: limiterOf(policies.user),
    address: limiterOf(policies.address),
    "open-writes": limiterOf(policies["open-writes"]),
  };

  async function count(name: PolicyName, key: string, response: ServerResponse): Promise<void> {
    const { quota, window } = policies[name];
    const { allowed, state } = await consume(limiters[name], key);
    const resetsIn = Math.max(1, Math.ceil(state.msBeforeNext / 1000));
    // draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.
    response.setHeader("RateLimit-Policy", `"${name}";q=${quota};w=${window}`);
    response.setHeader("RateLimit", `"${name}";r=${state.remainingPoints};t=${resetsIn}`);
    if (!allowed) {
      options.onRefused(name);
      throw problem("too_many_requests", "Too many requests. Please wait.", { retryAfter: resetsIn });
    }
  }

  const countAddress: RateLimits["countAddress"] = (request, response, route) => {
    const writes = route !== undefined && route.method !== "GET" && request.method !== "OPTIONS";
    const network = networkOf(clientAddress(request, options.trustedProxies) ?? "");
    return count(writes ? "open-writes" : "address", network, response);
  };

  return {
    countAddress,
    countUser: (userId, response) => count("user", userId, response),
    async countFailed(request, response) {
      if (!response.hasHeader("RateLimit")) await countAddress(request, response);
    },
  };
}

async function consume(
  limiter: RateLimiterMemory,
  key: string,
): Promise<{ allowed: boolean; state: RateLimiterRes }> {
  try {
    return { allowed: true, state: await limiter.consume(key) };
  } catch (error) {
    // The library rejects with a result, which is no error, when nothing is left.
    if (error instanceof RateLimiterRes) return { allowed: false, state: error };
    throw error;
  }
}
