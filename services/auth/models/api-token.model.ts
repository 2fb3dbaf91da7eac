import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";
import type { Scope } from "../../../lib/passport.ts";

export interface ApiTokenRow {
  id: string;
  userId: string;
  name: string;
  scopes: Scope[];
  /** SHA-256 of the secret. */
  secretHash: Buffer;
  createdAt: Date;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
}

export const defineApiToken = (database: Sequelize): ModelStatic<Model<ApiTokenRow>> =>
  database.define(
    "ApiToken",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      userId: DataTypes.UUID,
      name: DataTypes.TEXT,
      scopes: DataTypes.ARRAY(DataTypes.TEXT),
      secretHash: DataTypes.BLOB,
      createdAt: DataTypes.DATE(3),
      expiresAt: DataTypes.DATE(3),
      lastUsedAt: DataTypes.DATE(3),
    },
    { schema: "auth", tableName: "api_tokens", underscored: true, timestamps: false },
  );
