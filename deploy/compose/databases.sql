-- Runs once, when the volume is empty. Each service has a role and a schema of its own and sees no other.
\getenv auth_password AUTH_DATABASE_PASSWORD
\getenv tasks_password TASKS_DATABASE_PASSWORD

CREATE ROLE taskmesh_auth LOGIN PASSWORD :'auth_password';
CREATE ROLE taskmesh_tasks LOGIN PASSWORD :'tasks_password';

REVOKE ALL ON DATABASE taskmesh FROM PUBLIC;
GRANT CONNECT ON DATABASE taskmesh TO taskmesh_auth, taskmesh_tasks;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA auth AUTHORIZATION taskmesh_auth;
CREATE SCHEMA tasks AUTHORIZATION taskmesh_tasks;
