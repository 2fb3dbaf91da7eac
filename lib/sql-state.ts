/** PostgreSQL's SQLSTATE, or the system's code, of an error of the driver's or of one that Sequelize made of it; else "". */
export function sqlState(error: unknown): string {
  const cause = error instanceof Error && "original" in error ? error.original : error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}
