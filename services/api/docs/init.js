// Starts Swagger UI. A file of its own, because the page's Content-Security-Policy lets no inline script run.

/** As the OpenAPI document names it under securitySchemes. */
const SCHEME = "bearer";

/** Errors take a line each, since there are many and they are alike. A click shows the example and the headers. */
const BriefErrors = ({ React: { createElement, useState }, getComponent }) => ({
  wrapComponents: {
    response: (Response) =>
      function BriefResponse(props) {
        const [open, setOpen] = useState(false);
        if (open || Number(props.code) < 400) return createElement(Response, props);
        const description = createElement(getComponent("Markdown", true), {
          source: props.response.get("description"),
        });
        const button = createElement("button", { type: "button", onClick: () => setOpen(true) }, "Example");
        return createElement(
          "tr",
          { className: "response brief" },
          createElement("td", { className: "response-col_status" }, props.code),
          createElement("td", { className: "response-col_description" }, description, button),
        );
      },
  },
});

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  plugins: [BriefErrors],
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

// Swagger UI lets every link of a description open a new tab. Those of the introduction lead to places on this page.
document.addEventListener("click", (event) => {
  const link = event.target.closest('.info a[href^="#/"]');
  if (!link) return;
  event.preventDefault();
  ui.layoutActions.parseDeepLinkHash(link.hash);
});
