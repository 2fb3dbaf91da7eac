import type { Session } from "../services/auth/sessions.schema.ts";
import { buildPerson, buildTask, httpFor, type Person, signIn } from "./support/client.ts";
import { type RunningSystem, startMesh } from "./support/system.ts";

/** Each service's clock moves with every SIGUSR2: an hour ahead, an hour back, and right again. */
const movable = { NODE_OPTIONS: "--import ./tests/support/movable-clock.ts" };

let mesh: RunningSystem;
let ada: Person;
beforeAll(async () => {
  mesh = await startMesh({}, { auth: movable, tasks: movable, api: movable });
  ada = await buildPerson(mesh);
}, 60_000);
afterAll(() => mesh.stop());

describe.each(["auth", "tasks", "api"])("a wrong clock of the only %s", (service) => {
  test.each(["an hour ahead", "an hour behind", "right again"])(
    "changes nothing for anybody: %s",
    async () => {
      mesh.processes.find(({ name }) => name === service)?.child.kill("SIGUSR2");
      const bob = await buildPerson(mesh);
      for (const person of [ada, bob]) {
        const task = await buildTask(person);
        expect((await person.http.get("/tasks?limit=1")).body).toMatchObject({ items: [{ id: task.id }] });
        expect((await person.http.get("/auth/me")).status).toBe(200);
      }
      const { accessToken, refreshToken } = await signIn(mesh, ada);
      expect((await httpFor(mesh).post("/auth/refresh", { refreshToken })).status).toBe(200);
      const { body } = await httpFor(mesh, accessToken).get<{ items: Session[] }>("/auth/sessions");
      const began = body.items.find(({ current }) => current)?.createdAt ?? "";
      expect(Math.abs(Date.parse(began) - Date.now())).toBeLessThan(60_000);
    },
  );
});
