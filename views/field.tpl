% if field.kind == "hidden":
<input type="hidden" name="{{field.name}}" value="{{field.value}}">
% elif field.kind == "checks":
<fieldset>
<legend>{{field.label}}</legend>
% for value, words in field.options.items():
<label class="check"><input type="checkbox" name="{{field.name}}" value="{{value}}"> <span dir="auto">{{words}}</span></label>
% end
</fieldset>
% else:
<label for="{{field.name}}">{{field.label}}</label>
% if field.kind == "lines":
<textarea id="{{field.name}}" name="{{field.name}}" rows="6" maxlength="{{field.longest}}" dir="auto" class="prose">
{{field.value}}</textarea>
% elif field.kind == "choice":
<select id="{{field.name}}" name="{{field.name}}">
% for value, words in field.options.items():
<option value="{{value}}"\\
% if value == field.value:
 selected\\
% end
>{{words}}</option>
% end
</select>
% else:
<input id="{{field.name}}" name="{{field.name}}" maxlength="{{field.longest}}" value="{{field.value}}">
% end
% end
