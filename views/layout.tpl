<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}} · smsconvo</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{{root}}/static/{{static("console.css")}}">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
% if operator:
<header>
<nav aria-label="Console">
% for name, address in nav.items():
<a href="{{root}}{{address}}"\\
% if name == get("section", title):
 aria-current="page"\\
% end
>{{name}}</a>
% end
</nav>
% if operator.session_id:
<form method="post" action="{{root}}/console/sign-out"><button class="quiet">Sign out</button></form>
% end
</header>
% end
<main id="content"\\
% if get("live", False):
 data-live\\
% end
>
<h1>{{title}}</h1>
% if notice:
<p class="notice" role="status">{{notice}}</p>
% end
{{!base}}
% if context:
<p class="secondary">Times in {{zone}}. As of <span id="as-of">{{as_of}}</span>.</p>
% end
</main>
</body>
</html>
