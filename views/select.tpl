<p><label for="{{name}}">{{label}}</label><select id="{{name}}" name="{{name}}">
<option value="">{{all}}</option>
% for value, title in options.items():
<option value="{{value}}"\\
% if value == chosen:
 selected\\
% end
>{{title}}</option>
% end
% if chosen and chosen not in options:
<option value="{{chosen}}" selected>{{chosen}}</option>
% end
</select></p>
