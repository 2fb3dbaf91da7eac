import { type Model, type ModelStatic, Op, QueryTypes, type Sequelize, type Transaction } from "sequelize";
import { selectList } from "../../mixins/statements.ts";
import { defineMail, type MailRow } from "./models/mail.model.ts";
import { defineMailedToken, type MailedTokenRow } from "./models/mailed-token.model.ts";
import { defineUser, type UserRow } from "./models/user.model.ts";

export type { MailedTokenRow, MailRow };
export type MailRepository = ReturnType<typeof createMailRepository>;

/** Somebody wants a mail to an address. */
export interface MailRequest {
  mail: MailRow;
  /** Whose address it is. */
  user: UserRow | null;
  /** How many such mails this person was given since. */
  recent: number;
}

/** A mail whose reader is known. */
export interface DueMail {
  mail: MailRow;
  token: MailedTokenRow;
  user: UserRow;
}

export function createMailRepository(database: Sequelize) {
  const Mail = defineMail(database);
  const MailedToken = defineMailedToken(database);
  const User = defineUser(database);
  const columns = selectList(Mail);

  /** Locks the one that waits the longest; those that others work at are passed over. */
  async function lockDue(condition: string, now: Date, transaction: Transaction): Promise<MailRow | null> {
    const [mail] = await database.query<MailRow>(
      `SELECT ${columns} FROM auth.mails WHERE ${condition} AND next_attempt_at <= $1
        ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
      { bind: [now], type: QueryTypes.SELECT, transaction },
    );
    return mail ?? null;
  }

  async function find<Row extends { id: string }>(
    model: ModelStatic<Model<Row>>,
    id: string | null,
    transaction: Transaction,
  ): Promise<Row | null> {
    const found = id === null ? null : await model.findByPk(id, { transaction });
    return found?.get({ plain: true }) ?? null;
  }

  return {
    async insert(mail: MailRow): Promise<void> {
      await Mail.create(mail);
    },

    /**
     * Takes the oldest request, and stores the token that `decide` makes of it or drops it, as one step. The person's
     * row is locked meanwhile: of several requests at once each counts the ones before it.
     *
     * @param since for `recent`, by what the mail is for
     * @returns false when there is none
     */
    async takeRequest(
      { now, since }: { now: Date; since: (purpose: MailRow["purpose"]) => Date },
      decide: (request: MailRequest) => MailedTokenRow | null,
    ): Promise<boolean> {
      return database.transaction(async (transaction) => {
        const mail = await lockDue("token_id IS NULL", now, transaction);
        if (!mail) return false;
        const found = await User.findOne({
          where: { email: mail.email },
          lock: transaction.LOCK.UPDATE,
          transaction,
        });
        const user = found?.get({ plain: true }) ?? null;
        const recent = user
          ? await MailedToken.count({
              where: { userId: user.id, purpose: mail.purpose, createdAt: { [Op.gt]: since(mail.purpose) } },
              transaction,
            })
          : 0;
        const token = decide({ mail, user, recent });
        if (token) {
          await MailedToken.create(token, { transaction });
          await Mail.update({ tokenId: token.id }, { where: { id: mail.id }, transaction });
        } else {
          await Mail.destroy({ where: { id: mail.id }, transaction });
        }
        return true;
      });
    },

    /**
     * Takes the mail that is due the longest and hands it to `send`, which answers when to try again, or null when
     * there is no more to do. The row stays locked until then: a process that dies leaves it to the others.
     *
     * @returns false when none is due
     */
    async takeDue(now: Date, send: (due: DueMail) => Promise<Date | null>): Promise<boolean> {
      return database.transaction(async (transaction) => {
        const mail = await lockDue("token_id IS NOT NULL", now, transaction);
        if (!mail) return false;
        const token = await find(MailedToken, mail.tokenId, transaction);
        const user = token && (await find(User, token.userId, transaction));
        const again = token && user ? await send({ mail, token, user }) : null;
        if (again) {
          const patch = { attempts: mail.attempts + 1, nextAttemptAt: again };
          await Mail.update(patch, { where: { id: mail.id }, transaction });
        } else {
          await Mail.destroy({ where: { id: mail.id }, transaction });
        }
        return true;
      });
    },

    /** Forgets links that expired before. */
    async forgetTokens(before: Date): Promise<void> {
      await MailedToken.destroy({ where: { expiresAt: { [Op.lt]: before } } });
    },
  };
}
