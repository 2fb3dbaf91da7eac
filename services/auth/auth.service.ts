import type { Service, ServiceSchema } from "moleculer";
import { loadEnv } from "../../config/env.ts";
import { action, openAction, readDelivery, readyAction } from "../../lib/action.ts";
import { databaseMixin } from "../../mixins/database.ts";
import { authActions } from "./auth.schema.ts";
import { wireAuth } from "./auth.wiring.ts";

let service: Service;
const auth = wireAuth(loadEnv("AUTH_DATABASE_URL", "AUTH_SECRET"), {
  log: () => service.logger,
  call: (name, passport) => service.broker.call(name, {}, { meta: { passport } }),
  // Gateways look again whether those may still read who have a stream open.
  tellGateways: (change) => service.broker.broadcast("auth.changed", change, ["api"]),
});

/** Accounts, sessions and the tokens that prove them. */
const authService: ServiceSchema = {
  name: "auth",
  mixins: [databaseMixin(auth.database, auth.users.model)],

  actions: {
    register: openAction(authActions.register, (params, client, ctx) =>
      auth.accounts.register(params, client, readDelivery(ctx).operationId),
    ),
    login: openAction(authActions.login, (params, client) => auth.signIns.login(params, client)),
    refresh: openAction(authActions.refresh, (params, client) => auth.signIns.refresh(params, client)),
    logout: action(authActions.logout, (_, caller) => auth.told(auth.signIns.logout(caller))),
    verify: openAction(authActions.verify, ({ token }) => auth.identities.verify(token)),
    jwks: openAction(authActions.jwks, async () => auth.keyring.jwks()),

    me: action(authActions.me, (_, { userId }) => auth.accounts.me(userId)),
    updateMe: action(authActions.updateMe, ({ patch }, { userId }) =>
      auth.told(auth.accounts.update(userId, patch)),
    ),
    deleteMe: action(authActions.deleteMe, ({ password }, caller) =>
      auth.told(auth.accounts.remove(caller, password)),
    ),
    changePassword: action(authActions.changePassword, (params, caller) =>
      auth.told(auth.accounts.changePassword(caller, params)),
    ),

    forgotPassword: openAction(authActions.forgotPassword, (params, client) =>
      auth.recovery.forgotPassword(params, client),
    ),
    resetPassword: openAction(authActions.resetPassword, (params, client) =>
      auth.told(auth.recovery.resetPassword(params, client)),
    ),
    verifyEmail: openAction(authActions.verifyEmail, (params, client) =>
      auth.recovery.verifyEmail(params, client),
    ),

    listSessions: action(authActions.listSessions, (_, caller) => auth.signIns.list(caller)),
    endSession: action(authActions.endSession, ({ id }, caller) => auth.told(auth.signIns.end(caller, id))),
    endOtherSessions: action(authActions.endOtherSessions, (_, caller) =>
      auth.told(auth.signIns.endOthers(caller)),
    ),

    createToken: action(authActions.createToken, (wanted, caller) => auth.tokens.create(caller, wanted)),
    listTokens: action(authActions.listTokens, (_, caller) => auth.tokens.list(caller)),
    deleteToken: action(authActions.deleteToken, ({ id }, caller) =>
      auth.told(auth.tokens.remove(caller, id)),
    ),

    listUsers: action(authActions.listUsers, (params) => auth.admin.listUsers(params)),
    changeUser: action(authActions.changeUser, ({ id, patch }, caller) =>
      auth.told(auth.admin.changeUser(caller, id, patch)),
    ),
    listAuditEvents: action(authActions.listAuditEvents, (params) => auth.admin.listAuditEvents(params)),

    clientPassport: openAction(authActions.clientPassport, (params) => auth.services.passport(params)),
    listPeople: action(authActions.listPeople, (params, caller) => auth.services.people(caller, params)),

    ready: readyAction(() => auth.database.query("SELECT 1")),
  },

  created() {
    service = this;
    this.broker.localBus.on("$services.changed", auth.servicesChanged);
  },

  started: auth.start,
  stopped: auth.stop,
};

export default authService;
