import { runTests } from "./services/test-run.ts";

/*
 * npm test [-- Jest's arguments]
 *
 * Runs the tests on a real PostgreSQL and a real RabbitMQ: those of DATABASE_URL and AMQP_URL, those that run on
 * this machine, or throw-away ones. Afterwards what was found is as it was, and what was made is gone.
 */

const { passed, failed } = await runTests("test", ({ jest }) => jest(process.argv.slice(2)));
console.log(`${passed} passed, ${failed} failed`);
