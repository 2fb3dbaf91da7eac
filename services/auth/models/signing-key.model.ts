import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";
import type { PublicJwk } from "../../../lib/passport.ts";

export interface SigningKeyRow {
  kid: string;
  publicJwk: PublicJwk;
  sealedPrivateKey: Buffer;
  createdAt: Date;
  retiredAt: Date | null;
}

export const defineSigningKey = (database: Sequelize): ModelStatic<Model<SigningKeyRow>> =>
  database.define(
    "SigningKey",
    {
      kid: { type: DataTypes.TEXT, primaryKey: true },
      publicJwk: DataTypes.JSONB,
      sealedPrivateKey: DataTypes.BLOB,
      createdAt: DataTypes.DATE(3),
      retiredAt: DataTypes.DATE(3),
    },
    { schema: "auth", tableName: "signing_keys", underscored: true, timestamps: false },
  );
