import { readFileSync } from "node:fs";
import { join } from "node:path";
import { content } from "./content.ts";
import type { Handler } from "./handler.ts";
import { preferredOf } from "./languages.ts";

/** The page, its style and its script; the script talks to the API, and nothing to anybody else. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

const LANGUAGES = ["en", "ru"] as const;
type Language = (typeof LANGUAGES)[number];

/** A page that a mailed link leads to. */
interface Words {
  title: string;
  intro: string;
  button: string;
  done: string;
  invalid: string;
}

const words: Record<
  Language,
  { reset: Words; verify: Words; password: string; refused: string; failed: string }
> = {
  en: {
    reset: {
      title: "Choose a new password",
      intro: "You will be signed out everywhere, and your API tokens stop working.",
      button: "Set the password",
      done: "The password is set. You can sign in with it now.",
      invalid: "This link has been used, has expired or is incomplete. Ask for another one.",
    },
    verify: {
      title: "Confirm your e-mail address",
      intro: "This shows that mails to this address reach you.",
      button: "Confirm",
      done: "Thank you: the address is confirmed.",
      invalid: "This link has been used, has expired or is incomplete. Ask for another one by signing in.",
    },
    password: "New password",
    refused:
      "Please choose another one: at least 8 characters, none of the passwords that everybody tries first, and not your e-mail address.",
    failed: "That did not work. Please try again in a moment.",
  },
  ru: {
    reset: {
      title: "Новый пароль",
      intro: "Вы выйдете из учётной записи на всех устройствах, а её API-токены перестанут действовать.",
      button: "Сохранить пароль",
      done: "Пароль сохранён. Теперь с ним можно войти.",
      invalid: "Ссылка уже использована, устарела или неполна. Запросите новую.",
    },
    verify: {
      title: "Подтверждение адреса почты",
      intro: "Так мы узнаем, что письма на этот адрес доходят до вас.",
      button: "Подтвердить",
      done: "Спасибо, адрес подтверждён.",
      invalid: "Ссылка уже использована, устарела или неполна. Новая придёт, когда вы попробуете войти.",
    },
    password: "Новый пароль",
    refused:
      "Выберите другой: не короче 8 знаков, не из тех паролей, что пробуют первыми, и не адрес вашей почты.",
    failed: "Не получилось. Попробуйте ещё раз чуть позже.",
  },
};

/** Paths are relative: the gateway may be reached under a path of its own. */
function html(language: Language, name: "reset" | "verify"): string {
  const { password, refused, failed, [name]: page } = words[language];
  const field = `
        <label for="password">${password}</label>
        <input id="password" type="password" autocomplete="new-password" minlength="8" required autofocus>`;
  return `<!doctype html>
<html lang="${language}">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="robots" content="noindex">
  <title>${page.title} · Taskmesh</title>
  <link rel="icon" href="../docs/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="style.css">
  <script src="page.js" type="module"></script>
</head>
<body>
  <main data-page="${name}">
    <p class="name"><img src="../docs/icon.svg" alt="" width="28" height="28">Taskmesh</p>
    <h1>${page.title}</h1>
    <form>
      <p>${page.intro}</p>${name === "reset" ? field : ""}
      <p class="problem" id="refused" role="alert" hidden>${refused}</p>
      <p class="problem" id="failed" role="alert" hidden>${failed}</p>
      <button>${page.button}</button>
    </form>
    <p id="done" role="status" hidden>${page.done}</p>
    <p class="problem" id="invalid" role="alert" hidden>${page.invalid}</p>
  </main>
</body>
</html>
`;
}

function page(name: "reset" | "verify"): Handler {
  const [english, russian] = LANGUAGES.map((each) =>
    content("html", html(each, name), CONTENT_SECURITY_POLICY),
  );
  return async (request, response) => {
    response.appendHeader("Vary", "Accept-Language");
    const inRussian = preferredOf(request, LANGUAGES) === "ru";
    await (inRussian ? russian : english)?.(request, response);
  };
}

const file = (type: "js" | "css", name: string): Handler =>
  content(type, readFileSync(join(import.meta.dirname, "account", name)), CONTENT_SECURITY_POLICY);

/** Where mailed links lead, unless RESET_URL and VERIFY_URL name other pages. */
export const accountPages: { path: string; handler: Handler }[] = [
  { path: "/account/reset", handler: page("reset") },
  { path: "/account/verify", handler: page("verify") },
  { path: "/account/page.js", handler: file("js", "page.js") },
  { path: "/account/style.css", handler: file("css", "style.css") },
];
