import { dictionary } from "@zxcvbn-ts/language-common";

/** Characters of a password beside the words that anyone would try first. */
const MIN_OWN_CHARACTERS = 8;
/** A shorter word is in too many passwords by chance. */
const MIN_WORD_CHARACTERS = 4;
const PRODUCT_NAME = "taskmesh";

/** The 49,233 most common passwords of leaks, in lower case, shipped by zxcvbn. */
const common = new Set(dictionary["passwords-common"]);

export interface Weakness {
  code: "too_common" | "contains_email" | "contains_product_name";
  detail: string;
}

/**
 * Why a password would be guessed early, or null. No rules of composition (NIST SP 800-63B, 3.1.1.2): it is refused
 * when it is a common one, or no more than the e-mail address or the product's name with a little around it.
 */
export function findWeakness(password: string, { email }: { email: string }): Weakness | null {
  const folded = password.normalize("NFKC").toLowerCase();
  if (common.has(folded))
    return { code: "too_common", detail: "This is one of the passwords that are tried first." };
  const localPart = email.slice(0, email.lastIndexOf("@"));
  if ([email, localPart].some((word) => isHardlyMoreThan(folded, word.toLowerCase())))
    return { code: "contains_email", detail: "This is hardly more than the e-mail address." };
  if (isHardlyMoreThan(folded, PRODUCT_NAME))
    return { code: "contains_product_name", detail: "This is hardly more than the product's name." };
  return null;
}

const isHardlyMoreThan = (password: string, word: string): boolean =>
  word.length >= MIN_WORD_CHARACTERS &&
  password.includes(word) &&
  [...password.replaceAll(word, "")].length < MIN_OWN_CHARACTERS;
