// The club's endpoints. Every failure is an ApiError with a text for people.

export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new ApiError("offline", "The club cannot be reached. Check your connection.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = answer.error ?? {};
    throw new ApiError(error.code ?? "failed", error.message ?? "Something went wrong.");
  }
  return answer;
}

// The one request that must survive a closing tab.
export function farewell(token) {
  const body = new Blob([JSON.stringify({ token })], { type: "application/json" });
  navigator.sendBeacon("/api/leave", body);
}
