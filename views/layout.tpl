<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}} · smsconvo</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{{root}}/static/{{static("console.css")}}">
% if operator:
<script src="{{root}}/static/{{static("console.js")}}" defer></script>
% end
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
<form class="search" role="search" action="{{root}}/console/search"><label class="unseen" for="search">Search numbers, names and words</label><input id="search" name="q" type="search" maxlength="200" placeholder="Number or words" value="{{get("query", "")}}"><button class="quiet">Search</button></form>
</header>
% end
<main id="content"\\
% if get("live"):
 data-live\\
% end
>
<div class="top">
<h1>{{title}}</h1>
% if context:
<p class="secondary">Times in {{zone}}. As of <span id="as-of">{{as_of}}</span><span id="live"></span></p>
% end
</div>
% if notice:
<p class="notice" role="status">{{notice}}</p>
% end
{{!base}}
</main>
</body>
</html>
