// Where the server wants a token before it shows anything. The token goes to the server once and is
// kept in a cookie that no script can read.

import { signal } from "@preact/signals";
import { ApiError, login } from "./api";
import { sentence } from "./format";
import { retry } from "./state";

const problem = signal("");

async function send(form: HTMLFormElement): Promise<void> {
  const field = form.elements.namedItem("token");
  if (!(field instanceof HTMLInputElement)) return;
  try {
    await login(field.value.trim());
    problem.value = "";
    retry();
  } catch (error) {
    problem.value =
      error instanceof ApiError ? `${sentence(error.message)} ${error.hint}` : String(error);
    field.select();
  }
}

export function LoginPanel() {
  return (
    <form
      class="waiting-panel"
      onSubmit={(event) => {
        event.preventDefault();
        void send(event.currentTarget);
      }}
    >
      <h1>This tapeline asks for a token</h1>
      <p>
        TAPELINE_API_TOKEN or TAPELINE_VIEW_TOKEN of the machine it runs on; or open the link that
        it printed when it started.
      </p>
      <div class="login">
        <input
          name="token"
          type="password"
          aria-label="Token"
          aria-describedby="login-problem"
          autocomplete="current-password"
          required
        />
        <button type="submit" class="button primary">
          Log in
        </button>
      </div>
      <p id="login-problem" class="bad" role="alert">
        {problem.value}
      </p>
    </form>
  );
}
