import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";

export interface SessionRow {
  id: string;
  userId: string;
  refreshCounter: number;
  refreshedAt: Date;
  lastUsedAt: Date;
  createdAt: Date;
  endedAt: Date | null;
  address: string | null;
  userAgent: string | null;
}

export const defineSession = (database: Sequelize): ModelStatic<Model<SessionRow>> =>
  database.define(
    "Session",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      userId: DataTypes.UUID,
      refreshCounter: DataTypes.INTEGER,
      refreshedAt: DataTypes.DATE(3),
      lastUsedAt: DataTypes.DATE(3),
      createdAt: DataTypes.DATE(3),
      endedAt: DataTypes.DATE(3),
      address: DataTypes.TEXT,
      userAgent: DataTypes.TEXT,
    },
    { schema: "auth", tableName: "sessions", underscored: true, timestamps: false },
  );
