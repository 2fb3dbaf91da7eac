# Production packages only: neither the tools of development nor the embedded PostgreSQL.
FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# bcrypt, the only package with native code, ships it ready built.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json moleculer.config.ts ./
COPY config config
COPY lib lib
COPY mixins mixins
COPY scripts scripts
COPY services services

# Where the compose file's bus-users writes: a volume takes over who owns it.
RUN mkdir /bus && chown node:node /bus

# Of the image: uid 1000. It owns none of these files.
USER node
# The gateway, and the health of every process.
EXPOSE 3000 3001
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.OPS_PORT || 3001}/health/ready`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "scripts/service.ts"]
CMD ["auth", "tasks", "api"]
