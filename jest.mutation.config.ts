import type { Config } from "jest";
import everything from "./jest.config.ts";

/** What `npm run mutate` runs for each change: the tests beside the code of auth, without the systems of globalSetup. */
const { globalSetup: _, globalTeardown: __, ...rest } = everything;
const config: Config = { ...rest, testMatch: ["<rootDir>/services/auth/**/*.test.ts"] };

export default config;
