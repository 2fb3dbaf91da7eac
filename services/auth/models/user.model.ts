import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";

export interface UserRow {
  id: string;
  email: string;
  passwordHash: string;
  name: string;
  role: "user" | "admin";
  timeZone: string;
  locale: string;
  emailVerified: boolean;
  disabledAt: Date | null;
  createdAt: Date;
}

export const defineUser = (database: Sequelize): ModelStatic<Model<UserRow>> =>
  database.define(
    "User",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      email: DataTypes.TEXT,
      passwordHash: DataTypes.TEXT,
      name: DataTypes.TEXT,
      role: DataTypes.TEXT,
      timeZone: DataTypes.TEXT,
      locale: DataTypes.TEXT,
      emailVerified: DataTypes.BOOLEAN,
      disabledAt: DataTypes.DATE(3),
      createdAt: DataTypes.DATE(3),
    },
    { schema: "auth", tableName: "users", underscored: true, timestamps: false },
  );
