import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";

export interface MailRow {
  id: string;
  purpose: "reset_password" | "verify_email";
  /** As it was asked for: not necessarily anybody's. */
  email: string;
  /** Where it was asked from. */
  client: { address?: string; userAgent?: string };
  requestedAt: Date;
  /** Null until it was looked up whose the address is. */
  tokenId: string | null;
  attempts: number;
  nextAttemptAt: Date;
}

export const defineMail = (database: Sequelize): ModelStatic<Model<MailRow>> =>
  database.define(
    "Mail",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      purpose: DataTypes.TEXT,
      email: DataTypes.TEXT,
      client: DataTypes.JSONB,
      requestedAt: DataTypes.DATE(3),
      tokenId: DataTypes.UUID,
      attempts: DataTypes.INTEGER,
      nextAttemptAt: DataTypes.DATE(3),
    },
    { schema: "auth", tableName: "mails", underscored: true, timestamps: false },
  );
