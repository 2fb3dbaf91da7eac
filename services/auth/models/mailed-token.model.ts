import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";

/** A link that was or will be mailed: what it says is derived from the id. */
export interface MailedTokenRow {
  id: string;
  userId: string;
  purpose: "reset_password" | "verify_email";
  /** The address that it was mailed to. */
  email: string;
  createdAt: Date;
  expiresAt: Date;
  usedAt: Date | null;
}

export const defineMailedToken = (database: Sequelize): ModelStatic<Model<MailedTokenRow>> =>
  database.define(
    "MailedToken",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      userId: DataTypes.UUID,
      purpose: DataTypes.TEXT,
      email: DataTypes.TEXT,
      createdAt: DataTypes.DATE(3),
      expiresAt: DataTypes.DATE(3),
      usedAt: DataTypes.DATE(3),
    },
    { schema: "auth", tableName: "mailed_tokens", underscored: true, timestamps: false },
  );
