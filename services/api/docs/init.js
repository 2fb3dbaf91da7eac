// Starts Swagger UI. A file of its own, because the page's Content-Security-Policy lets no inline script run.

/** As the OpenAPI document names it under securitySchemes. */
const SCHEME = "bearer";

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 3,
  persistAuthorization: true,
  // The default sends the document to a server of Swagger's to validate it.
  validatorUrl: null,
  responseInterceptor: followSession,
});

/** Whoever signs in on this page is signed in on this page; whoever signs out is not. */
function followSession(response) {
  const path = new URL(response.url, location.href).pathname;
  if (response.status === 200 && (path === "/auth/login" || path === "/auth/refresh")) {
    ui.preauthorizeApiKey(SCHEME, JSON.parse(response.text).accessToken);
    ui.authActions.persistAuthorizationIfNeeded();
  }
  if (response.status === 204 && (path === "/auth/logout" || path === "/auth/me")) {
    ui.authActions.logoutWithPersistOption([SCHEME]);
  }
  return response;
}
