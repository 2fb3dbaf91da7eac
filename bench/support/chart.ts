/** A bar for each figure, as an SVG that reads in light and in dark. */
export function chart(title: string, bars: { name: string; value: number; label: string }[]): string {
  const ROW = 34;
  const LEFT = 150;
  const WIDTH = 420;
  const most = Math.max(...bars.map(({ value }) => value), 0.01);
  const rows = bars.map(({ name, value, label }, index) => {
    const y = 52 + index * ROW;
    const width = Math.max(2, (value / most) * WIDTH);
    return `  <text x="${LEFT - 10}" y="${y + 15}" text-anchor="end">${name}</text>
  <rect x="${LEFT}" y="${y}" width="${width.toFixed(1)}" height="22" rx="3" fill="#2f6fde"/>
  <text x="${(LEFT + width + 8).toFixed(1)}" y="${y + 15}">${label}</text>`;
  });
  const height = 60 + bars.length * ROW;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 ${height}" font-family="system-ui, sans-serif" font-size="14" fill="#667">
  <text x="16" y="28" font-size="16" font-weight="600">${title}</text>
${rows.join("\n")}
</svg>
`;
}
