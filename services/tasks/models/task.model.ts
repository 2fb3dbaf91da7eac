import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";

/** What a task is, at one version. */
export interface TaskContent {
  title: string;
  description: string;
  status: "open" | "in_progress" | "done" | "cancelled";
  /** 0 none to 4 urgent. */
  priority: number;
  /** The date of an all-day task. */
  dueOn: string | null;
  /** The time zone in which that date was turned into `dueAt`. */
  dueZone: string | null;
  /** When the task is due; for an all-day task, when that day begins. */
  dueAt: Date | null;
  tags: string[];
  completedAt: Date | null;
}

export interface TaskRow extends TaskContent {
  userId: string;
  id: string;
  version: number;
  createdAt: Date;
  updatedAt: Date;
  /** When it went to the trash. */
  deletedAt: Date | null;
}

export const defineTask = (database: Sequelize): ModelStatic<Model<TaskRow>> =>
  database.define(
    "Task",
    {
      userId: { type: DataTypes.UUID, primaryKey: true },
      id: { type: DataTypes.UUID, primaryKey: true },
      title: DataTypes.TEXT,
      description: DataTypes.TEXT,
      status: DataTypes.TEXT,
      priority: DataTypes.SMALLINT,
      dueOn: DataTypes.DATEONLY,
      dueZone: DataTypes.TEXT,
      dueAt: DataTypes.DATE(3),
      tags: DataTypes.ARRAY(DataTypes.TEXT),
      completedAt: DataTypes.DATE(3),
      version: DataTypes.INTEGER,
      createdAt: DataTypes.DATE(3),
      updatedAt: DataTypes.DATE(3),
      deletedAt: DataTypes.DATE(3),
    },
    { schema: "tasks", tableName: "tasks", underscored: true, timestamps: false },
  );
