import type { Purpose } from "./mailed-tokens.logic.ts";

export interface RenderedMail {
  subject: string;
  text: string;
  html: string;
}

/** A mail in one language. */
interface Words {
  subject: string;
  why: string;
  button: string;
  /** How long the link works, and what to do when one did not ask for it. */
  note: string;
}

type Language = "en" | "ru";

const words: Record<Language, Record<Purpose, Words>> = {
  en: {
    reset_password: {
      subject: "Choose a new password for Taskmesh",
      why: "Somebody, probably you, asked for a new password for the Taskmesh account of this address.",
      button: "Choose a new password",
      note: "The link works once, within 30 minutes. A new password signs you out everywhere and deletes your API tokens. If it wasn’t you, do nothing: your password stays as it is.",
    },
    verify_email: {
      subject: "Confirm your e-mail address for Taskmesh",
      why: "Somebody, probably you, gave this address for an account at Taskmesh.",
      button: "Confirm the address",
      note: "The link works once, within 24 hours. If it wasn’t you, do nothing.",
    },
  },
  ru: {
    reset_password: {
      subject: "Новый пароль для Taskmesh",
      why: "Кто-то, скорее всего вы, запросил новый пароль к учётной записи Taskmesh с этим адресом.",
      button: "Задать новый пароль",
      note: "Ссылка действует один раз, в течение 30 минут. С новым паролем вы выйдете из учётной записи на всех устройствах, а её API-токены будут удалены. Если это были не вы, ничего не делайте: пароль останется прежним.",
    },
    verify_email: {
      subject: "Подтвердите адрес почты для Taskmesh",
      why: "Кто-то, скорее всего вы, указал этот адрес для учётной записи в Taskmesh.",
      button: "Подтвердить адрес",
      note: "Ссылка действует один раз, в течение 24 часов. Если это были не вы, ничего не делайте.",
    },
  },
};

/**
 * A mail as plain text and as HTML. Nothing that a person wrote is in it: whoever registers a stranger's address could
 * otherwise send that stranger a text of their own.
 *
 * @param locale BCP 47 tag of the reader; English for languages that are not here
 */
export function renderMail(
  purpose: Purpose,
  { locale, link }: { locale: string; link: string },
): RenderedMail {
  const language: Language = new Intl.Locale(locale).language === "ru" ? "ru" : "en";
  const { subject, why, button, note } = words[language][purpose];
  return {
    subject,
    text: `${why}\n\n${button}:\n${link}\n\n${note}\n\nTaskmesh\n`,
    html: page(language, { title: subject, why, button, note, link }),
  };
}

const page = (language: Language, parts: Record<"title" | "why" | "button" | "note" | "link", string>) => {
  const { title, why, button, note, link } = escapeEach(parts);
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
</head>
<body style="margin:0;padding:24px;background:#fbfcfb;color:#22302c;font:16px/1.55 sans-serif">
<div style="max-width:520px;margin:0 auto">
<p style="margin:0 0 24px;color:#2f5d50;font-size:20px;font-weight:bold">Taskmesh</p>
<p>${why}</p>
<p style="margin:24px 0"><a href="${link}" style="display:inline-block;padding:12px 20px;border-radius:8px;background:#2f5d50;color:#ffffff;text-decoration:none">${button}</a></p>
<p style="word-break:break-all"><a href="${link}" style="color:#2f5d50">${link}</a></p>
<p style="color:#5d6b66">${note}</p>
</div>
</body>
</html>
`;
};

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");

const escapeEach = <Key extends string>(parts: Record<Key, string>): Record<Key, string> => {
  const escaped = { ...parts };
  for (const key in parts) escaped[key] = escapeHtml(parts[key]);
  return escaped;
};
